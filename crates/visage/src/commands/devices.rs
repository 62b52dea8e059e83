//! `visage devices`.

use clap::Args;
use serde::Serialize;
use visage_model::Precision;
use visage_model::device::{self, Backend, DeviceInfo};

use crate::error::CommandError;
use crate::output;
use crate::tables::Table;

/// Options of `visage devices`.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The devices, and the backends that could find some.
#[derive(Serialize)]
struct Devices {
    /// The backends of this build.
    compiled_in: Vec<Backend>,
    /// The backends that this build lacks.
    not_compiled_in: Vec<Backend>,
    devices: Vec<DeviceInfo>,
}

/// Lists the devices.
pub fn run(args: &DevicesArgs) -> Result<(), CommandError> {
    let (compiled_in, not_compiled_in) = Backend::ALL.into_iter().partition(|backend| backend.is_compiled_in());
    let found = Devices { compiled_in, not_compiled_in, devices: device::list() };
    if args.json {
        return output::json(&found);
    }
    output::result(&table(&found.devices))?;
    for reason in found.devices.iter().filter_map(|found| found.broken.as_ref()) {
        output::warning(reason);
    }
    let names = |backends: &[Backend]| backends.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", ");
    output::note(&format!("backends of this build: {}", names(&found.compiled_in)));
    if !found.not_compiled_in.is_empty() {
        let missing = names(&found.not_compiled_in);
        output::note(&format!("not built in: {missing}; each is a Cargo feature (cargo build --features NAME)"));
    }
    Ok(())
}

fn table(devices: &[DeviceInfo]) -> String {
    let mut table = Table::new(4, &["Device", "Model", "Kind", "Precisions", "Memory"]);
    for DeviceInfo { device, model, software, memory_bytes, precisions, broken } in devices {
        let kind = match (device == Backend::Cpu.name(), software) {
            (true, _) => "CPU",
            (false, true) => "software",
            (false, false) => "GPU",
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
    table.text()
}
