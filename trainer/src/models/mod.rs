//! DRR-Net and its parts, and what it is compared with, in libtorch: for training, and for evaluation
//! at vertices when baking.
//! Tensors have the reference's names; shapes and orders are those of its checkpoints.

pub mod baselines;
pub mod checkpoint;
pub mod encoder;
pub mod frozen;
pub mod hash;
pub mod hdinr;
pub mod inr;
pub mod layers;
pub mod lines;
pub mod network;
pub mod parameters;
pub mod radiance;
pub mod vertices;
pub mod window;

pub use baselines::Baseline;
pub use encoder::Encoder;
pub use hdinr::Hdinr;
pub use inr::Inr;
pub use lines::Lines;
pub use network::Network;
pub use parameters::Parameters;
pub use radiance::Radiance;
