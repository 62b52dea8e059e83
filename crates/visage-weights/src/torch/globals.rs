//! The Python objects that a weight file may name. All others are refused.

use crate::element::Element;
use crate::error::{Problem, quoted};

/// A Python object that a pickle named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `collections.OrderedDict`: an empty dict, or a dict of the pairs that are its argument.
    OrderedDict,
    /// `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`: (storage, offset, shape, strides, ...).
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: the same, then (requires_grad, hooks, dtype), over an untyped storage.
    RebuildTensorOfType,
    /// `torch._utils._rebuild_parameter`: its first argument is the tensor.
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2`: (function, type, its arguments, state).
    RebuildFromType,
    /// A storage class, such as `torch.FloatStorage`.
    Storage(Element),
    /// An element type, such as `torch.float32`.
    Dtype(Element),
    /// An object without weights that is often saved beside them; its arguments are ignored.
    Inert,
}

/// The object called `module.name`.
///
/// # Errors
///
/// [`Problem::Code`] for any object that a state dict does not need.
pub(super) fn find(module: &str, name: &str) -> Result<Global, Problem> {
    let global = match (module, name) {
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Some(Global::RebuildTensor),
        ("torch._utils", "_rebuild_tensor_v3") => Some(Global::RebuildTensorOfType),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Some(Global::RebuildParameter),
        ("torch._tensor", "_rebuild_from_type_v2") => Some(Global::RebuildFromType),
        ("torch" | "torch.cuda" | "torch.storage", _) => storage(name)
            .map(Global::Storage)
            .or_else(|| dtype(name).map(Global::Dtype))
            .or_else(|| inert(module, name)),
        _ => inert(module, name),
    };
    global.ok_or_else(|| Problem::Code { global: quoted(&format!("{module}.{name}")) })
}

fn inert(module: &str, name: &str) -> Option<Global> {
    let known = matches!(
        (module, name),
        ("torch", "Size" | "device" | "Tensor")
            | ("torch.nn.parameter", "Parameter")
            | ("collections", "Counter" | "defaultdict")
            | (
                "builtins" | "__builtin__",
                "set" | "frozenset" | "bytearray" | "complex" | "int" | "long" | "float" | "list" | "dict"
            )
            | ("_codecs", "encode")
            | ("argparse", "Namespace")
            | ("numpy", "dtype" | "ndarray")
            | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar" | "_reconstruct")
            | ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer")
            // The hyperparameters that Lightning keeps.
            | (
                "lightning_fabric.utilities.data"
                    | "lightning.fabric.utilities.data"
                    | "pytorch_lightning.utilities.parsing"
                    | "lightning.pytorch.utilities.parsing",
                "AttributeDict"
            )
            | (
                "pathlib" | "pathlib._local",
                "PosixPath" | "WindowsPath" | "PurePosixPath" | "PureWindowsPath" | "Path" | "PurePath"
            )
            | ("datetime", "datetime" | "date" | "time" | "timedelta")
    );
    known.then_some(Global::Inert)
}

/// The element type of a storage class. The length of an untyped storage is in bytes.
fn storage(name: &str) -> Option<Element> {
    Some(match name {
        "DoubleStorage" => Element::F64,
        "FloatStorage" => Element::F32,
        "HalfStorage" => Element::F16,
        "BFloat16Storage" => Element::Bf16,
        "LongStorage" => Element::I64,
        "IntStorage" => Element::I32,
        "ShortStorage" => Element::I16,
        "CharStorage" => Element::I8,
        "ByteStorage" | "UntypedStorage" => Element::U8,
        "BoolStorage" => Element::Bool,
        "ComplexFloatStorage" => Element::Other { name: "complex64", size: 8 },
        "ComplexDoubleStorage" => Element::Other { name: "complex128", size: 16 },
        "QInt8Storage" => Element::Other { name: "qint8", size: 1 },
        "QUInt8Storage" => Element::Other { name: "quint8", size: 1 },
        "QInt32Storage" => Element::Other { name: "qint32", size: 4 },
        _ => return None,
    })
}

fn dtype(name: &str) -> Option<Element> {
    Some(match name {
        "float64" | "double" => Element::F64,
        "float32" | "float" => Element::F32,
        "float16" | "half" => Element::F16,
        "bfloat16" => Element::Bf16,
        "int64" | "long" => Element::I64,
        "int32" | "int" => Element::I32,
        "int16" | "short" => Element::I16,
        "int8" => Element::I8,
        "uint64" => Element::U64,
        "uint32" => Element::U32,
        "uint16" => Element::U16,
        "uint8" => Element::U8,
        "bool" => Element::Bool,
        "complex64" | "cfloat" => Element::Other { name: "complex64", size: 8 },
        "complex128" | "cdouble" => Element::Other { name: "complex128", size: 16 },
        "float8_e4m3fn" | "float8_e5m2" | "float8_e4m3fnuz" | "float8_e5m2fnuz" | "float8_e8m0fnu" => {
            Element::Other { name: "float8", size: 1 }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_that_run_code_are_refused() {
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("builtins", "getattr"),
            ("torch", "load"),
            ("torch.storage", "_load_from_bytes"),
            ("torch._utils", "_rebuild_qtensor"),
            ("torchvision.models.resnet", "ResNet"),
            ("collections.OrderedDict", ""),
        ] {
            let problem = find(module, name).unwrap_err();
            assert!(matches!(&problem, Problem::Code { global } if *global == format!("{module}.{name}")), "{problem}");
        }
    }

    #[test]
    fn a_storage_on_a_gpu_is_an_ordinary_one() {
        assert_eq!(find("torch.cuda", "HalfStorage").unwrap(), Global::Storage(Element::F16));
    }
}
