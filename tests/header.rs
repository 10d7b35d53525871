//! `include/drr.h` is what cbindgen makes of `src/capi` today.

use std::path::Path;

#[test]
fn header_is_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
    let sources = [
        "status",
        "structs",
        "model",
        "sampler",
        "gradient",
        "sets",
        "radiance_structs",
        "radiance",
        "device_structs",
        "device",
        "device_gradient",
        "device_radiance",
        "log",
    ];
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in sources {
        builder = builder.with_src(root.join(format!("src/capi/{name}.rs")));
    }
    let mut generated = Vec::new();
    builder.generate().expect("src/capi can be parsed").write(&mut generated);
    let generated = String::from_utf8(generated).expect("UTF-8");

    let path = root.join("include/drr.h");
    if std::env::var_os("DRR_UPDATE_HEADER").is_some() {
        std::fs::write(&path, &generated).expect("include/drr.h can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(generated == committed, "include/drr.h is stale: run `make header`");
}
