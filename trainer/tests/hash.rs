//! The hash grid gives what its definition says, written down plainly.

use drr_train::config::{HashConfig, HashLevel};
use drr_train::models::Parameters;
use drr_train::models::hash::HashGrid;
use tch::{Device, Kind, Tensor};

/// `n_input_dims`, `n_levels`, `n_features_per_level`, `log2_hashmap_size`, base, finest.
const GRIDS: [[usize; 6]; 6] = [
    [3, 4, 2, 8, 3, 24],
    [2, 5, 3, 6, 2, 100],
    [3, 1, 1, 4, 16, 16],
    [5, 2, 2, 10, 2, 7],
    [7, 2, 1, 9, 1, 3],
    [2, 3, 4, 20, 4, 16],
];

fn config([dims, levels, features, log2_entries, base, finest]: [usize; 6]) -> HashConfig {
    HashConfig { dims, levels, features, log2_entries, base, finest }
}

/// Row of the vertex at whole coordinates.
fn row(level: &HashLevel, vertex: &[u32]) -> usize {
    let primes = [1, 2654435761, 805459861, 3674653429, 2097192037, 1434869437, 2165219737_u32];
    if level.hashed {
        let products = vertex.iter().zip(primes).map(|(i, prime)| i.wrapping_mul(prime));
        return products.fold(0, |hash, product| hash ^ product) as usize % level.entries;
    }
    vertex.iter().rev().fold(0, |row, &i| row * level.vertices + i as usize)
}

/// Features of a level at a point in [-1, 1].
fn features(level: &HashLevel, table: &[f64], width: usize, point: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; width];
    for corner in 0..1_usize << point.len() {
        let (mut vertex, mut weight) = (Vec::new(), 1.0);
        for (axis, x) in point.iter().enumerate() {
            let cells = (level.vertices - 1) as f64;
            let p = ((x + 1.0) / 2.0 * cells).clamp(0.0, cells);
            let lower = p.floor().min(cells - 1.0);
            let upper = corner >> axis & 1 == 1;
            weight *= if upper { p - lower } else { 1.0 - (p - lower) };
            vertex.push(lower as u32 + u32::from(upper));
        }
        let row = row(level, &vertex) * width;
        sums.iter_mut().zip(&table[row..row + width]).for_each(|(sum, x)| *sum += weight * x);
    }
    sums
}

#[test]
fn it_gives_what_its_definition_says() {
    for sizes in GRIDS {
        let config = config(sizes);
        let mut parameters = Parameters::new(Device::Cpu);
        let grid = HashGrid::new(&mut parameters, "grid", &config).expect("a grid");
        let points =
            Tensor::rand([50, config.dims as i64], (Kind::Double, Device::Cpu)) * 2.4 - 1.2;
        // Corners of the domain, and vertices.
        let border = points.narrow(0, 0, 10).round();
        let points = Tensor::cat(&[points, border], 0);
        let numbers = Vec::<f64>::try_from(&points.flatten(0, 1)).expect("numbers");
        let found = tch::no_grad(|| grid.sample(&points).to_kind(Kind::Double).flatten(0, 1));
        let found = Vec::<f64>::try_from(&found).expect("numbers");
        let tables: Vec<(HashLevel, Vec<f64>)> = (grid.levels().iter())
            .map(|(level, table)| {
                let flat = table.to_kind(Kind::Double).flatten(0, 1);
                (*level, Vec::<f64>::try_from(&flat).expect("numbers"))
            })
            .collect();
        let expected = numbers.chunks(config.dims).flat_map(|point| {
            let of = |(level, table): &(HashLevel, Vec<f64>)| {
                features(level, table, config.features, point)
            };
            tables.iter().flat_map(of).collect::<Vec<_>>()
        });
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-10, "{sizes:?}: {found} {expected}");
        }
    }
}

#[test]
fn its_tables_learn() {
    let config = config(GRIDS[0]);
    let mut parameters = Parameters::new(Device::Cpu);
    let grid = HashGrid::new(&mut parameters, "grid", &config).expect("a grid");
    let point = Tensor::from_slice(&[0.1, -0.2, 0.3]).view([1, 3]);
    grid.sample(&point).sum(Kind::Float).backward();
    for (level, table) in grid.levels() {
        let gradient = table.grad();
        assert_eq!(gradient.size(), [level.entries as i64, config.features as i64]);
        // Weights sum to 1 for each feature, on at most eight rows.
        let sum = gradient.sum(Kind::Double).double_value(&[]);
        assert!((sum - config.features as f64).abs() < 1e-5, "{sum}");
        let touched = gradient.any_dim(1, false).sum(Kind::Int64).int64_value(&[]);
        assert!((1..=8).contains(&touched), "{touched}");
    }
}

#[test]
fn checkpoints_hold_one_table_for_each_level() {
    let config = config(GRIDS[1]);
    let mut parameters = Parameters::new(Device::Cpu);
    HashGrid::new(&mut parameters, "encoding", &config).expect("a grid");
    let names: Vec<_> = parameters.all().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 5);
    assert!(names.contains(&"encoding.levels.0"));
    let rows: usize = config.levels().iter().map(|level| level.entries).sum();
    assert_eq!(parameters.count(), rows * 3);
}
