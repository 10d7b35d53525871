//! Ensembles load in both forms, and mistakes in them are explained.

mod common;

use std::path::Path;

use common::ensemble::split_file;
use common::shared;
use drr_train::config::{DatasetConfig, DatasetKind};
use drr_train::data::{Ensemble, LoadOptions, Split, npy, read_index_lists};
use tempfile::TempDir;

fn raw(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// The field of member `m`: 2 x 2 x 2 values from `m + 1`.
fn field(m: usize) -> Vec<f32> {
    (0..8).map(|i| (m + 1 + i) as f32).collect()
}

/// A folder under construction.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    /// Three members with two parameters, in our form.
    fn ours() -> Self {
        let folder = Self::new();
        folder.put(
            "params.csv",
            "file,split,density,heat\nf/a.raw,train,1,10\nf/b.raw,test,2,20\nf/c.raw,train,3,40\n",
        );
        folder.members();
        folder
    }

    /// The same in the reference's form.
    fn reference() -> Self {
        let folder = Self::new();
        folder.members();
        let table = [0.0, 0.0, 0.0, 1.0, 0.5, 0.25, 2.0, 1.0, 1.0_f64];
        npy::write(&folder.path().join("cond.npy"), &[3, 3], &table).unwrap();
        folder.put("cond_split.npy", split_file(&[0, 2], &[1]));
        folder
    }

    fn members(&self) {
        for (m, name) in ["a", "b", "c"].iter().enumerate() {
            self.put(&format!("f/{name}.raw"), raw(&field(m)));
        }
    }

    fn config(&self) -> DatasetConfig {
        DatasetConfig { data: Some(self.path().to_path_buf()), ..DatasetConfig::default() }
    }

    fn load(&self) -> anyhow::Result<Ensemble> {
        Ensemble::load(&self.config(), &SCALAR_3D)
    }

    fn refused(&self) -> String {
        self.refused_with(|_| ())
    }

    /// The error after `change` to the configuration.
    fn refused_with(&self, change: impl Fn(&mut DatasetConfig)) -> String {
        let mut config = self.config();
        change(&mut config);
        format!("{:#}", Ensemble::load(&config, &SCALAR_3D).expect_err("an error"))
    }
}

/// The values of all members.
fn values(ensemble: &Ensemble) -> Vec<Vec<f32>> {
    let field = |m| ensemble.field(m).unwrap().floats().into_owned();
    (0..ensemble.members.len()).map(field).collect()
}

/// What most models expect.
const SCALAR_3D: LoadOptions = LoadOptions { model_dims: 3, components: 1 };

#[test]
fn our_form_loads() {
    let ensemble = Folder::ours().load().unwrap();
    assert_eq!(ensemble.places.shape(), [2, 2, 2]);
    assert_eq!((ensemble.axes.len(), ensemble.axes[2].name.as_str()), (3, "z"));
    assert_eq!(ensemble.values[0].name, "value");
    assert_eq!(ensemble.train().collect::<Vec<_>>(), [0, 2]);
    assert_eq!(ensemble.test().collect::<Vec<_>>(), [1]);
    let heat = &ensemble.parameters[1];
    assert_eq!((heat.name.as_str(), heat.min, heat.max), ("heat", 10.0, 40.0));
    let member = &ensemble.members[1];
    assert_eq!((member.name.as_str(), member.split), ("b", Split::Test));
    assert_eq!(member.parameters, [2.0, 20.0]);
    assert_eq!(member.normalized, [0.5, (1.0_f64 / 3.0) as f32]);
    assert_eq!(ensemble.field(0).unwrap().at(0), 0.0);
    assert_eq!(ensemble.field(2).unwrap().at(7), 1.0);
    assert_eq!((ensemble.normalization.min, ensemble.denormalize(1.0)), (1.0, 10.0));
    assert!(ensemble.notes.is_empty(), "{:?}", ensemble.notes);
}

#[test]
fn the_reference_form_loads_as_ours() {
    let folder = Folder::reference();
    let (theirs, ours) = (folder.load().unwrap(), Folder::ours().load().unwrap());
    assert_eq!(values(&theirs), values(&ours));
    assert_eq!(theirs.parameters[0].name, "p0");
    assert_eq!(theirs.members[1].normalized, [0.5, 0.25]);
    let splits = |e: &Ensemble| e.members.iter().map(|m| m.split).collect::<Vec<_>>();
    assert_eq!(splits(&theirs), splits(&ours));

    // The same from the configuration's paths, with the folder of the fields itself as data_dir.
    let config = DatasetConfig {
        data_dir: Some(folder.path().join("f")),
        cond_path: Some(folder.path().join("cond.npy")),
        cond_split_path: Some(folder.path().join("cond_split.npy")),
        ..DatasetConfig::default()
    };
    let configured = Ensemble::load(&config, &SCALAR_3D).unwrap();
    assert_eq!(configured.members, theirs.members);
}

#[test]
fn field_yaml_names_things_and_sets_ranges() {
    let folder = Folder::ours();
    folder.put(
        "field.yaml",
        "values: [{name: energy, unit: J}]\nparameters: {heat: {unit: K, min: 0, max: 50}}\n\
         axes: [{name: x, unit: cm, min: 0, max: 10}, {name: y}, {name: z}]\n",
    );
    let ensemble = folder.load().unwrap();
    assert_eq!((ensemble.values[0].unit.as_str(), ensemble.axes[0].max), ("J", 10.0));
    assert_eq!(ensemble.members[2].normalized, [1.0, 0.8]);
    folder.put("field.yaml", "parameters: {haet: {unit: K}}");
    assert!(folder.refused().contains("did you mean `heat`?"));
    folder.put("field.yaml", "parameters: {heat: {max: 30}}");
    assert!(
        folder.refused().contains("member c: parameter heat is 40, outside its range 10 to 30")
    );
    folder.put("field.yaml", "vales: []");
    assert!(folder.refused().contains("did you mean `values`?"));
    folder.put("field.yaml", "values: [{name: u}, {name: v}]");
    assert!(folder.refused().contains("names 2 values, the data have 1 a point"));
}

#[test]
fn the_shape_comes_from_the_first_source_that_has_it() {
    let folder = Folder::ours();
    let flat = LoadOptions { model_dims: 2, components: 1 };
    folder.put("field.yaml", "dims: [2, 4]");
    let mut config = folder.config();
    assert_eq!(Ensemble::load(&config, &flat).unwrap().places.shape(), [2, 4]);
    config.dims = Some(vec![4, 2]);
    assert_eq!(Ensemble::load(&config, &flat).unwrap().places.shape(), [4, 2]);

    let with = |dims: &[usize]| folder.refused_with(|config| config.dims = Some(dims.to_vec()));
    assert!(with(&[4, 4, 4]).contains("32 bytes, but the shape [4, 4, 4] of float32 needs 256"));
    assert!(with(&[8]).contains("shape [8], but the model's grid has 3 dimensions"));
    assert!(with(&[8, 1, 1]).contains("fewer than 2 samples"));
    folder.put("field.yaml", "# nothing");
    assert_eq!(folder.load().unwrap().places.shape(), [2, 2, 2]);
    config.dims = None;
    let error = Ensemble::load(&config, &flat).unwrap_err().to_string();
    assert!(error.contains("no float32 square") && error.contains("--dims"), "{error}");
    let colours = LoadOptions { model_dims: 3, components: 3 };
    let error = Ensemble::load(&config, &colours).unwrap_err().to_string();
    assert!(error.contains("1 values a point, the model gives 3 (out_dim)"), "{error}");
}

#[test]
fn npy_fields_bring_their_shape_and_components() {
    let folder = Folder::new();
    folder.put("params.csv", "file,p\na.npy,0\nb.npy,1\n");
    let write = |name: &str, shape: &[usize]| {
        let data: Vec<f32> = (0..shape.iter().product()).map(|i| i as f32).collect();
        npy::write(&folder.path().join(name), shape, &data).unwrap();
    };
    write("a.npy", &[2, 3, 4, 2]);
    write("b.npy", &[2, 3, 4, 2]);
    let pairs = LoadOptions { model_dims: 3, components: 2 };
    let ensemble = Ensemble::load(&folder.config(), &pairs).unwrap();
    assert_eq!((ensemble.places.shape().as_slice(), ensemble.values.len()), (&[2, 3, 4][..], 2));
    assert!(ensemble.notes[0].contains("no column `split`"));
    assert!(folder.refused().contains("2 values a point, the model gives 1"));
    write("b.npy", &[2, 3, 4]);
    let error = Ensemble::load(&folder.config(), &pairs).unwrap_err().to_string();
    assert!(error.contains("b.npy: its shape is [2, 3, 4], other members have"), "{error}");
    folder.put("params.csv", "file,p\na.npy,0\n").put("field.yaml", "dims: [3, 2, 4]");
    assert!(folder.refused().contains("dims in field.yaml says [3, 2, 4]"));
}

#[test]
fn values_are_scaled_by_the_training_members_or_as_configured() {
    let folder = Folder::ours();
    folder.put("f/b.raw", raw(&[100.0; 8]));
    let ensemble = folder.load().unwrap();
    assert_eq!(ensemble.normalization.max, 10.0);
    assert_eq!(ensemble.field(1).unwrap().at(0), 11.0);
    let mut config = folder.config();
    (config.data_min, config.data_max) = (Some(0.0), Some(5.0));
    let ensemble = Ensemble::load(&config, &SCALAR_3D).unwrap();
    assert_eq!(ensemble.field(0).unwrap().at(0), 0.2);
    assert!(ensemble.notes[0].contains("from 1 to 10, beyond data_min and data_max, 0 to 5"));
    config = DatasetConfig { use_logdata: true, ..folder.config() };
    let ensemble = Ensemble::load(&config, &SCALAR_3D).unwrap();
    assert!((ensemble.denormalize(ensemble.field(2).unwrap().at(0)) - 3.0).abs() < 1e-5);
    folder.put("f/c.raw", raw(&[1.0, 0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]));
    let error = folder.refused_with(|config| config.use_logdata = true);
    assert!(error.contains("c.raw: the value 0 at index 1 has no logarithm"), "{error}");
    folder.put("f/a.raw", raw(&[1.0; 8])).put("f/c.raw", raw(&[1.0; 8]));
    assert!(folder.refused().contains("nothing to learn"));
}

#[test]
fn mistakes_in_the_table_name_line_and_column() {
    let cases = [
        ("file,split,p\nf/a.raw,train,x\n", "line 2: column p: given `x`, expected a number"),
        ("file,split,p\nf/a.raw,train,nan\n", "given `nan`, expected a number"),
        ("file,split,p\nf/a.raw,train,\n", "given ``, expected a number"),
        ("file,split,p\nf/a.raw,valid,1\n", "given `valid`, expected train, validation or test"),
        ("file,p\nf/a.raw,1\nf/z.raw,2\n", "line 3: there is no file"),
        ("file,p\nf/a.raw,1\nf/a.raw,2\n", "is in line 2 already"),
        ("file,p\nf/a.raw\n", "params.csv is damaged"),
        ("file,p,p\nf/a.raw,1,2\n", "two columns are called `p`"),
        ("file,\nf/a.raw,1\n", "column 2 has no name"),
        ("file,split\nf/a.raw,train\n", "no parameters"),
        ("name,p\nf/a.raw,1\n", "no column `file`, only: name, p"),
        ("file,p\n", "no rows below its header"),
        ("file,split,p\nf/a.raw,test,1\n", "no training members"),
    ];
    let folder = Folder::ours();
    for (table, expected) in cases {
        folder.put("params.csv", table);
        let error = folder.refused();
        assert!(error.contains(expected) && !error.contains("panic"), "{table:?}: {error}");
    }
}

#[test]
fn mistakes_in_the_reference_form_name_file_and_row() {
    let folder = Folder::reference();
    let table = |values: &[f64], shape: &[usize]| {
        npy::write(&folder.path().join("cond.npy"), shape, values).unwrap();
        folder.refused()
    };
    assert!(table(&[0.0, 0.5, 1.0, 0.5, 7.0, 0.5], &[3, 2]).contains("row 2: column 0 is 7"));
    assert!(table(&[0.0, 0.5, 0.5, 0.5, 1.0, 0.5], &[3, 2]).contains("row 1: column 0 is 0.5"));
    assert!(table(&[0.0, 0.5, 0.0, 0.5, 1.0, 0.5], &[3, 2]).contains("is in row 0 already"));
    assert!(
        table(&[0.0, 1.5, 1.0, 0.5, 2.0, 0.5], &[3, 2]).contains("p0 is 1.5, outside its range")
    );
    assert!(
        table(&[0.0, f64::NAN, 1.0, 0.5, 2.0, 0.5], &[3, 2]).contains("row 0: column 1 is NaN")
    );
    assert!(table(&[0.0, 0.5, 1.0], &[3]).contains("given the shape [3]"));
    assert!(table(&[0.0, 0.5, 1.0, 0.5], &[2, 2]).contains("index 2, but cond.npy has 2 rows"));

    let folder = Folder::reference();
    folder.put("cond_split.npy", split_file(&[0, 1], &[1]));
    assert!(folder.refused().contains("row 1 is listed twice"));
    folder.put("cond_split.npy", split_file(&[0], &[1]));
    let notes = folder.load().unwrap().notes;
    assert!(notes[0].contains("1 rows of cond.npy are in neither list"), "{notes:?}");
    std::fs::remove_file(folder.path().join("cond_split.npy")).unwrap();
    let error = folder.refused();
    assert!(error.contains("which members are for training") && error.contains("cond_split.npy"));
    folder.put("g/a.raw", raw(&field(0))).put("cond_split.npy", split_file(&[0], &[1]));
    assert!(folder.refused().contains("several folders"));
}

#[test]
fn the_table_goes_before_cond_npy() {
    let folder = Folder::reference();
    folder.put("params.csv", "file,split,p\nf/a.raw,train,1\nf/b.raw,train,1\n");
    let ensemble = folder.load().unwrap();
    assert_eq!(ensemble.members[1].normalized, [0.0]);
    let notes = ensemble.notes.join("\n");
    assert!(notes.contains("cond.npy beside it is not used"), "{notes}");
    assert!(notes.contains("parameter p is 1 for every member: it becomes 0"), "{notes}");
}

#[test]
fn folders_files_and_values_that_will_not_do_are_named() {
    let config = DatasetConfig::default();
    let error = Ensemble::load(&config, &SCALAR_3D).unwrap_err().to_string();
    assert!(error.contains("give --data DIR"), "{error}");
    let config = DatasetConfig { data: Some("no/such/folder".into()), ..config };
    let error = Ensemble::load(&config, &SCALAR_3D).unwrap_err().to_string();
    assert!(error.contains("there is no folder no/such/folder"), "{error}");
    assert!(Folder::new().refused().contains("has no params.csv, and there is no"));

    let folder = Folder::ours();
    let mut values = field(2);
    values[3] = f32::NAN;
    folder.put("f/c.raw", raw(&values));
    let error = folder.refused();
    assert!(error.contains("c.raw: 1 of 8 values are not finite, the first (NaN) at index 3"));
    folder.put("f/c.raw", []);
    assert!(folder.refused().contains("c.raw is empty"));
    folder.put("f/c.raw", [0; 31]);
    assert!(folder.refused().contains("c.raw has 31 bytes"));

    let error = Folder::ours().load().unwrap().check_parameters(3).unwrap_err().to_string();
    assert!(error.contains("takes 3 parameters (cond_dim), the data have 2: density, heat"));
    let error = Folder::ours().refused_with(|config| config.dim_scale_factor = 0.7);
    assert!(error.contains("dim_scale_factor: given 0.7, which makes [1, 1, 1]"), "{error}");
    let error = Folder::ours().refused_with(|config| config.kind = DatasetKind::HdCurviField);
    assert!(error.contains("HDCurviFieldDataset needs the coordinates"), "{error}");
}

#[test]
fn reduced_fields_are_reduced_before_logarithms_and_can_be_had_in_full() {
    let folder = Folder::new();
    folder.put("params.csv", "file,split,p\na.npy,train,0\nb.npy,train,1\n");
    let values: Vec<f32> = (0..4 * 4 * 4).map(|i| (1 + i % 4) as f32).collect();
    for name in ["a.npy", "b.npy"] {
        npy::write(&folder.path().join(name), &[4, 4, 4], &values).unwrap();
    }
    let config = DatasetConfig { dim_scale_factor: 0.75, use_logdata: true, ..folder.config() };
    let reduced = Ensemble::load(&config, &SCALAR_3D).unwrap();
    assert_eq!(reduced.places.shape(), [3, 3, 3]);
    // Half way between 2 and 3, not between their logarithms.
    let middle = f64::ln(2.5) / f64::ln(4.0);
    assert!(
        (f64::from(reduced.field(0).unwrap().at(1)) - middle).abs() < 1e-6,
        "{:?}",
        reduced.field(0)
    );
    let full = reduced.at_full_resolution(&config, &SCALAR_3D).unwrap();
    assert_eq!(
        (full.places.shape().as_slice(), full.normalization),
        (&[4, 4, 4][..], reduced.normalization)
    );
    assert!((full.denormalize(full.field(1).unwrap().at(2)) - 3.0).abs() < 1e-6);
}

#[test]
fn cloverleaf_loads_in_both_forms() {
    let Some(folder) = shared("data/cloverleaf3d") else { return };
    let config = DatasetConfig { data: Some(folder.clone()), ..DatasetConfig::default() };
    let ours = Ensemble::load(&config, &SCALAR_3D).unwrap();
    let config = DatasetConfig {
        data_dir: Some(folder.join("energy")),
        cond_path: Some(folder.join("cond.npy")),
        cond_split_path: Some(folder.join("cond_split.npy")),
        ..DatasetConfig::default()
    };
    let theirs = Ensemble::load(&config, &SCALAR_3D).unwrap();
    assert_eq!((ours.places.shape().as_slice(), ours.members.len()), (&[64, 64, 64][..], 76));
    assert_eq!((ours.train().count(), ours.test().count()), (64, 12));
    assert!((ours.normalization.min - 0.4587).abs() < 1e-4);
    assert!((ours.normalization.max - 26.39).abs() < 1e-2);
    assert_eq!(values(&ours), values(&theirs));
    ours.check_parameters(6).unwrap();
    // The ranges of the published table, which cond.npy was normalised by.
    let published = [(0.01, 1.0), (0.75, 2.0), (0.51, 2.0), (1.5, 3.5), (1.5, 3.0), (4.0, 7.0)];
    for (a, b) in ours.members.iter().zip(&theirs.members) {
        assert_eq!((&a.name, a.split), (&b.name, b.split));
        for ((physical, normalized), (min, max)) in
            a.parameters.iter().zip(&b.normalized).zip(published)
        {
            assert!(((physical - min) / (max - min) - f64::from(*normalized)).abs() < 1e-6);
        }
    }
}

#[test]
fn a_damaged_split_file_never_panics() {
    let Some(folder) = shared("data/cloverleaf3d") else { return };
    let whole = std::fs::read(folder.join("cond_split.npy")).unwrap();
    let place = Folder::new();
    let path = place.path().join("cond_split.npy");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read_index_lists(&path, ["cond_idx", "cond_idx_unseen"])
    };
    let [train, test] = read(&whole).unwrap();
    assert_eq!((train, test), ((0..64).collect(), (64..76).collect()));
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err());
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x5a;
        drop(read(&bytes));
    }
}
