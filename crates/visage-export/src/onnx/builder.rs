//! Collects the nodes and constants of a graph.

use super::schema::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionValue, NodeProto, TensorProto, TensorShapeProto,
    TensorType, TypeProto, ValueInfoProto,
};

#[derive(Debug, Default)]
pub(super) struct Builder {
    pub(super) nodes: Vec<NodeProto>,
    pub(super) constants: Vec<TensorProto>,
}

impl Builder {
    /// Adds a node with the output `output`, which is also the node's name. Returns the name.
    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], output: impl Into<String>) -> String {
        self.node_with(operator, inputs, output, Vec::new())
    }

    pub(super) fn node_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: impl Into<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let output = output.into();
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.clone()],
            name: Some(output.clone()),
            op_type: Some(operator.to_owned()),
            attribute: attributes,
        });
        output
    }

    pub(super) fn floats(&mut self, name: impl Into<String>, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name.into(), DataType::Float, dims, bytes)
    }

    pub(super) fn integers(&mut self, name: impl Into<String>, dims: &[usize], values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name.into(), DataType::Int64, dims, bytes)
    }

    /// Adds a constant from its bytes, unless there is one with this name. Returns the name.
    pub(super) fn constant(&mut self, name: String, kind: DataType, dims: &[usize], bytes: Vec<u8>) -> String {
        if !self.constants.iter().any(|constant| constant.name() == name) {
            self.constants.push(TensorProto {
                dims: dims.iter().map(|&length| length as i64).collect(),
                data_type: Some(kind.into()),
                name: Some(name.clone()),
                raw_data: Some(bytes),
            });
        }
        name
    }
}

pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        f: Some(value),
        r#type: Some(AttributeType::Float.into()),
        ..AttributeProto::default()
    }
}

pub(super) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        i: Some(value),
        r#type: Some(AttributeType::Int.into()),
        ..AttributeProto::default()
    }
}

pub(super) fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        s: Some(value.as_bytes().to_vec()),
        r#type: Some(AttributeType::String.into()),
        ..AttributeProto::default()
    }
}

pub(super) fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> AttributeProto {
    AttributeProto {
        name: Some(name.to_owned()),
        ints: values.into_iter().map(|value| value as i64).collect(),
        r#type: Some(AttributeType::Ints.into()),
        ..AttributeProto::default()
    }
}

/// The length of a dimension.
#[derive(Clone, Copy, Debug)]
pub(super) enum Length {
    Fixed(usize),
    /// It varies, and has this name.
    Variable(&'static str),
}

/// An input or output of the graph: `[batch, rest...]`, where the batch size is variable.
pub(super) fn batched(name: &str, kind: DataType, rest: &[Length], doc: String) -> ValueInfoProto {
    let lengths = std::iter::once(&Length::Variable("batch")).chain(rest).map(|length| match *length {
        Length::Fixed(length) => DimensionValue::DimValue(length as i64),
        Length::Variable(name) => DimensionValue::DimParam(name.to_owned()),
    });
    let dim = lengths.map(|value| Dimension { value: Some(value) }).collect();
    let tensor_type = TensorType { elem_type: Some(kind.into()), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type) }),
        doc_string: Some(doc),
    }
}
