//! `visage devices`.

use serde::Serialize;
use visage_model::Precision;
use visage_model::device::{self, Backend, DeviceInfo};

use crate::cli::DevicesArgs;
use crate::error::CommandError;
use crate::output;
use crate::table::Columns;

/// What there is to compute on.
#[derive(Serialize)]
struct Listed {
    /// What this program can reach devices by.
    compiled_in: Vec<Backend>,
    /// The features that it was built without.
    not_compiled_in: Vec<Backend>,
    devices: Vec<DeviceInfo>,
}

/// Lists the devices.
pub fn run(args: &DevicesArgs) -> Result<(), CommandError> {
    let (compiled_in, not_compiled_in) = Backend::ALL.into_iter().partition(|backend| backend.is_compiled_in());
    let listed = Listed { compiled_in, not_compiled_in, devices: device::list() };
    if args.json {
        return output::json(&listed);
    }
    let mut table = Columns::new(4, &["Device", "Model", "Kind", "Precisions", "Memory"]);
    for DeviceInfo { device, model, software, memory_bytes, precisions, broken } in &listed.devices {
        let kind = match (device == Backend::Cpu.name(), software) {
            (true, _) => "processor",
            (false, true) => "software",
            (false, false) => "graphics card",
        };
        let precisions: Vec<&str> = precisions.iter().map(|&precision| Precision::name(precision)).collect();
        table.row([
            device.clone(),
            model.clone().unwrap_or_else(|| "-".to_owned()),
            kind.to_owned(),
            match broken {
                Some(_) => "none: it does not work".to_owned(),
                None => precisions.join(", "),
            },
            memory_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{} MiB", bytes >> 20)),
        ]);
    }
    output::result(&table.text())?;
    for reason in listed.devices.iter().filter_map(|found| found.broken.as_ref()) {
        output::warning(reason);
    }
    let names = |backends: &[Backend]| backends.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", ");
    output::note(&format!("this visage computes by {}", names(&listed.compiled_in)));
    if !listed.not_compiled_in.is_empty() {
        let without = names(&listed.not_compiled_in);
        output::note(&format!(
            "it was built without {without}: each is a feature of that name (cargo build --features)"
        ));
    }
    Ok(())
}
