//! How processes that train together reach each other.

/// The processes, seen from one of them. All of them make the same calls in the same order, with
/// as many numbers.
pub trait Link {
    /// Which one it is, from 0.
    fn rank(&self) -> usize;

    /// How many there are, 2 or more.
    fn size(&self) -> usize;

    /// Which of the processes of its machine it is, and how many these are.
    fn local(&self) -> (usize, usize);

    /// Sums of what each has.
    fn sum(&self, numbers: Vec<f64>) -> Vec<f64>;

    /// As [`sum`](Self::sum), of many numbers.
    fn sum_f32(&self, numbers: Vec<f32>) -> Vec<f32>;

    /// The largest of what each has.
    fn max(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// What the first has.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Sends numbers to some processes, and receives from some, so many numbers of each. Those
    /// that are sent to make the call that receives them.
    fn exchange(&self, sent: &[Message], received: &[(usize, usize)]) -> Vec<Vec<f32>>;

    /// Ends all of them.
    fn abort(&self);
}

/// Numbers for a process, or from it.
pub type Message = (usize, Vec<f32>);
