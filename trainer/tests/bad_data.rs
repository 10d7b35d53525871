//! Data, configurations and folders that will not do: training says what was given, what was
//! expected and what to do, and leaves nothing behind.

mod common;

use common::ensemble::TinyEnsemble;
use common::scratch::{Scratch, borrowed};
use common::{drr_train, drr_train_fails};

/// Each change to the arguments must fail with a message that has all of the texts.
fn refused(scratch: &Scratch, cases: &[(&[&str], &[&str])]) {
    for (arguments, texts) in cases {
        let message = scratch.train_fails(arguments);
        for text in *texts {
            assert!(message.contains(text), "{arguments:?}: no `{text}` in: {message}");
        }
    }
}

/// Training must fail with a message that has all of the texts.
fn refused_as_it_is(scratch: &Scratch, texts: &[&str]) {
    refused(scratch, &[(&[], texts)]);
}

#[test]
fn what_is_missing_is_named() {
    let scratch = Scratch::small();
    let (config, ens, out) = (scratch.path("model.yaml"), scratch.path("ens"), scratch.path("run"));
    let cases: [(&[&str], &[&str]); 3] = [
        (&["--config", "absent.yaml", "--data", &ens], &["configuration file absent.yaml"]),
        (&["--config", &config, "--data", "absent"], &["there is no folder", "absent"]),
        (&["--config", &config], &["no data", "give --data DIR"]),
    ];
    for (given, texts) in cases {
        let message = drr_train_fails(&[&["train", "--out", &out], given].concat());
        assert!(texts.iter().all(|text| message.contains(text)), "{given:?}: {message}");
        assert!(!scratch.has("run"), "{given:?}");
    }

    std::fs::remove_file(scratch.place("ens/m3.raw")).expect("removed");
    refused_as_it_is(&scratch, &["params.csv line 5", "there is no file", "m3.raw"]);
    std::fs::remove_file(scratch.place("ens/params.csv")).expect("removed");
    refused_as_it_is(&scratch, &["params.csv", "cond.npy"]);
}

#[test]
fn files_of_a_wrong_length_are_named_with_both_lengths() {
    let scratch = Scratch::small();
    let whole = scratch.bytes("ens/m4.raw");
    let longer = [&whole[..], &[0; 8]].concat();
    let cases: [(&[u8], &[&str]); 3] = [
        (&whole[..836], &["m4.raw has 836 bytes", "[5, 6, 7]", "needs 840", "--dims"]),
        (&longer, &["m4.raw has 848 bytes", "[5, 6, 7]", "needs 840", "--dims"]),
        (&[], &["m4.raw is empty"]),
    ];
    for (bytes, texts) in cases {
        scratch.put("ens/m4.raw", bytes);
        refused_as_it_is(&scratch, texts);
    }
}

#[test]
fn values_that_are_not_finite_are_named_by_file_and_index() {
    let scratch = Scratch::small();
    let good = TinyEnsemble::default().field(1);
    for (bad, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut values = good.clone();
        (values[17], values[30]) = (bad, bad);
        scratch.put_raw("ens/m1.raw", &values);
        let first = format!("the first ({shown}) at index 17");
        refused_as_it_is(&scratch, &["m1.raw: 2 of 210 values are not finite", &first]);
    }
    scratch.put_raw("ens/m1.raw", &[-1.0; 210]);
    let logarithm = ["m1.raw: the value -1 at index 0 has no logarithm", "use_logdata"];
    refused(&scratch, &[(&["--set", "dataset.param.use_logdata=true"], &logarithm)]);
}

#[test]
fn shapes_that_do_not_fit_are_explained() {
    let scratch = Scratch::small();
    refused(
        &scratch,
        &[
            (&["--dims", "5,6,8"], &["m0.raw has 840 bytes", "[5, 6, 8]", "needs 960", "--dims"]),
            (&["--dims", "30,7"], &["[30, 7]", "the model's grid has 3 dimensions"]),
            (&["--dims", "210,1,1"], &["[210, 1, 1]", "fewer than 2 samples"]),
            (&["--dims", "5,0,7"], &["dims: given [5, 0, 7]", "1 or more"]),
        ],
    );
    std::fs::remove_file(scratch.place("ens/field.yaml")).expect("removed");
    refused_as_it_is(&scratch, &["shape of", "m0.raw is unknown", "840 bytes", "give --dims"]);
    scratch.train("run", &["--dims", "5,6,7"]);
}

#[test]
fn how_files_are_to_be_read_has_to_fit_them() {
    let scratch = Scratch::small();
    let yaml = scratch.text("ens/field.yaml");
    let cases: [(&str, &[&str]); 3] = [
        ("dtype: float64", &["m0.raw has 840 bytes", "float64 needs 1680", "dtype in field.yaml"]),
        ("dtype: float", &["field.yaml", "dtype: unknown type of numbers `float`", "did you mean"]),
        ("byte_order: middle", &["byte_order: given middle, expected little or big"]),
    ];
    for (line, texts) in cases {
        scratch.put("ens/field.yaml", format!("{yaml}{line}\n"));
        refused_as_it_is(&scratch, texts);
    }
    let vtk = "# vtk DataFile Version 3.0\nt\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 1 2 2\n\
               POINT_DATA 4\nSCALARS a float\nLOOKUP_TABLE default\n1 2 3 4\n\
               SCALARS b float\nLOOKUP_TABLE default\n1 2 3 4\n";
    scratch.put("ens/m0.vtk", vtk);
    scratch.replace("ens/params.csv", "m0.raw", "m0.vtk");
    scratch.put("ens/field.yaml", "variable: c\n");
    refused_as_it_is(
        &scratch,
        &["m0.vtk is no usable .vtk file", "no `c` among its arrays", "a, b"],
    );
    scratch.put("ens/field.yaml", "");
    refused_as_it_is(&scratch, &["several arrays (a, b)", "name one as `variable` in field.yaml"]);
}

#[test]
fn folders_of_several_kinds_of_files_are_ambiguous_in_the_reference_form() {
    let scratch = Scratch::small();
    TinyEnsemble::default().write_as_reference(&scratch, "ens");
    std::fs::remove_file(scratch.place("ens/params.csv")).expect("removed");
    // Pictures beside raw files are pictures of them.
    scratch.put("ens/a.png", "");
    scratch.train("run", &[]);
    for m in 0..common::ensemble::MEMBERS {
        std::fs::remove_file(scratch.place(&format!("ens/m{m}.raw"))).expect("removed");
    }
    scratch.put("ens/b.vti", "");
    refused_as_it_is(&scratch, &["a.png and b.vti are both in", "leave files of one kind"]);
}

#[test]
fn axes_that_could_not_be_baked_are_refused_before_training() {
    let scratch = Scratch::small();
    scratch.replace("ens/field.yaml", "min: 0, max: 6", "min: 6, max: 0");
    refused_as_it_is(&scratch, &["field.yaml", "axes.0: given min 6 and max 0", "in order"]);
    scratch.replace("ens/field.yaml", "min: 6, max: 0", "min: 6, max: 6");
    refused_as_it_is(&scratch, &["field.yaml", "axes.0: min and max are the same, 6"]);
}

#[test]
fn a_model_for_other_data_is_refused_with_both_numbers() {
    let scratch = Scratch::small();
    let parameters = [
        "--set",
        "model.param.latent_kwargs.param={cond_dim: 3, line_dims_list: [[2, 3, 4], [5, 4, 3]], \
         latent_shape: [2]}",
        "--set",
        "model.param.cond_trans_kwargs.param={feat_dim: 12, out_dim: 12, num_layers: 1}",
    ];
    let values =
        ["--set", "model.param.out_dim=2", "--set", "model.param.decoder_kwargs.param.out_dim=2"];
    refused(
        &scratch,
        &[
            (&parameters, &["takes 3 parameters", "cond_dim", "the data have 2: density, heat"]),
            (&values, &["the data have 1 values a point, the model gives 2", "out_dim"]),
        ],
    );
}

#[test]
fn mistakes_in_the_configuration_are_named_with_their_key() {
    let scratch = Scratch::small();
    let set = |assignment| ["--set", assignment];
    let cases: [(&str, &[&str]); 10] = [
        ("model.param.hiden_dim=3", &["model.param.hiden_dim", "did you mean `hidden_dim`?"]),
        ("model.param.hidden_dim=wide", &["hidden_dim: given \"wide\", expected a whole number"]),
        ("model.type=HDINR", &["unknown type `HDINR`", "did you mean `HDINRBase`?"]),
        ("model.type=NGPRadianceField", &["model.param.hidden_dim: unknown key"]),
        ("model.param.encoder_kwargs.type=HashGrid", &["encoder_kwargs", "n_input_dims"]),
        ("optim.groups=[{lr: 1}]", &["optim.groups", "expected a list of"]),
        ("dataset.type=FieldDataset", &["a folder, expected the file of one field"]),
        ("nonsense", &["`nonsense`: expected KEY=VALUE"]),
        ("model.param.out_dim.x=1", &["`model.param.out_dim` is 1, it has no `x`"]),
        ("dataset=3", &["dataset: given 3, expected a mapping"]),
    ];
    for (assignment, texts) in cases {
        refused(&scratch, &[(&set(assignment), texts)]);
    }
    let numbers: [(&[&str], &[&str]); 5] = [
        (&["--steps", "0"], &["steps: given 0, expected 1 or more"]),
        (&["--lr", "0"], &["lr: given 0, expected more than 0"]),
        (&["--lr", "nan"], &["lr: given \"NaN\", expected a number"]),
        (&["--config-id", "1"], &["there is no entry 1"]),
        (&["--batch-points", "100000000000000"], &["does not fit into memory", "--batch-points"]),
    ];
    refused(&scratch, &numbers);
    let projection = ["--set", "model.param.use_out_proj=true"];
    refused(
        &scratch,
        &[(&projection, &["decoder_kwargs.param.out_dim: given 1", "hidden_dim, 16"])],
    );
    scratch.put("model.yaml", "- model: {type: [\n");
    refused_as_it_is(&scratch, &["model.yaml is not valid YAML", "line"]);
}

#[test]
fn a_model_beyond_memory_is_an_error_of_one_line() {
    let scratch = Scratch::small();
    // More than any machine can address.
    let grids = "model.param.encoder_kwargs.param.grid_shapes=[[30000, 30000, 30000], [4, 5, 6]]";
    let message = scratch.train_fails(&["--set", grids]);
    assert!(message.contains("libtorch: ") && message.contains("allocate"), "{message}");
    assert!(message.contains("smaller grids"), "{message}");
    assert_eq!(message.lines().count(), 1, "{message}");
}

#[test]
fn a_device_that_is_not_there_is_refused() {
    let scratch = Scratch::small();
    refused(
        &scratch,
        &[
            (&["--device", "gpu"], &["`gpu`", "expected cpu, cuda, cuda:N or auto"]),
            (&["--device", "cuda:99"], &["`cuda:99`", "--device cpu"]),
        ],
    );
}

#[test]
fn a_folder_that_holds_something_is_left_alone() {
    let scratch = Scratch::small();
    scratch.put("taken/notes.txt", "mine");
    let message = drr_train_fails(&borrowed(&scratch.training("taken", &[])));
    assert!(message.contains("taken is not empty") && message.contains("--resume"), "{message}");
    assert_eq!(scratch.list("taken"), ["notes.txt"]);

    std::fs::create_dir(scratch.place("empty")).expect("a folder");
    scratch.train("empty", &[]);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let scratch = Scratch::small();
    let message = drr_train_fails(&borrowed(&scratch.training("model.yaml/run", &[])));
    assert!(message.contains("cannot make the run's folder"), "{message}");
    assert!(message.contains("model.yaml/run"), "{message}");
}

#[test]
fn a_loss_that_is_not_finite_stops_training_and_says_what_to_do() {
    let scratch = Scratch::small();
    let arguments = scratch.training("run", &["--lr", "1e30", "--steps", "50"]);
    let message = drr_train_fails(&borrowed(&arguments));
    for text in ["the loss is NaN between steps", "lower --lr", "members m"] {
        assert!(message.contains(text), "{message}");
    }
    assert!(scratch.list("run/checkpoints").is_empty(), "useless weights were stored");
    let message = drr_train_fails(&["bake", &scratch.path("run"), "-o", &scratch.path("out")]);
    assert!(message.contains("no checkpoint yet"), "{message}");
}

#[test]
fn what_is_no_run_cannot_be_resumed() {
    let scratch = Scratch::small();
    for (folder, text) in [("absent", "is not a run"), ("ens", "is not a run")] {
        let message = drr_train_fails(&["train", "--resume", &scratch.path(folder)]);
        assert!(message.contains(text) && message.contains("config.yaml"), "{message}");
    }
    let together = drr_train(&["train", "--resume", &scratch.path("ens"), "--steps", "3"]);
    assert_eq!(together.status.code(), Some(2), "a run's length is fixed");
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_one_before_it_can_be_used() {
    let scratch = Scratch::small();
    let steps = ["--steps", "3", "--set", "train.checkpoint_steps=2"];
    scratch.train("run", &steps);
    let (run, last) = (scratch.path("run"), "run/checkpoints/step-00000003");
    let weights = scratch.bytes(&format!("{last}/weights.safetensors"));
    let fails = |text: &str| {
        let message = drr_train_fails(&["train", "--resume", &run]);
        for text in [text, "step-00000003", "remove it"] {
            assert!(message.contains(text), "no `{text}` in: {message}");
        }
    };
    scratch.put(&format!("{last}/weights.safetensors"), &weights[..weights.len() / 2]);
    fails("weights.safetensors: not a complete safetensors file");
    scratch.put(&format!("{last}/weights.safetensors"), &weights);
    scratch.put(&format!("{last}/state.json"), "{");
    fails("state.json is damaged");
    scratch.put(&format!("{last}/state.json"), r#"{"steps": 3, "seconds": 0.0}"#);
    std::fs::remove_file(scratch.place(&format!("{last}/optimizer.safetensors"))).expect("removed");
    fails("optimizer.safetensors");

    std::fs::remove_dir_all(scratch.place(last)).expect("removed");
    common::drr_train_ok(&["train", "--resume", &run]);
    assert_eq!(scratch.bytes(&format!("{last}/weights.safetensors")), weights);
}

#[test]
fn other_data_than_the_run_was_trained_on_are_refused() {
    let scratch = Scratch::small();
    scratch.train("run", &[]);
    TinyEnsemble::default().write(&scratch, "other");
    scratch.replace("other/params.csv", ",50\n", ",60\n");
    let (run, other) = (scratch.path("run"), scratch.path("other"));
    let message = drr_train_fails(&["eval", &run, "--data", &other]);
    for text in ["not the data of the run", "heat from 10 to 60", "heat from 10 to 50"] {
        assert!(message.contains(text), "no `{text}` in: {message}");
    }
    scratch.put_raw("ens/m0.raw", &[100.0; 210]);
    let message = drr_train_fails(&["train", "--resume", &run]);
    assert!(message.contains("not the data of the run"), "{message}");
    assert!(message.contains("values from"), "{message}");

    // The same members in another order make other batches.
    TinyEnsemble::default().write(&scratch, "ens");
    let table = scratch.text("ens/params.csv");
    let mut rows: Vec<_> = table.lines().collect();
    rows.swap(1, 2);
    scratch.put("ens/params.csv", rows.join("\n"));
    let message = drr_train_fails(&["train", "--resume", &run]);
    assert!(message.contains("given training member m1"), "{message}");
    assert!(message.contains("expected m0"), "{message}");
}
