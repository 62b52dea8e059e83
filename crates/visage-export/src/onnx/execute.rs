//! An interpreter for the ONNX graphs of visage.
//!
//! It supports only the operators that visage writes. It exists so that an exported file is checked on every machine, from its bytes,
//! before it is used.

use std::collections::{HashMap, HashSet};

use super::operators::{Inputs, compute};
use super::schema::{GraphProto, ModelProto, NodeProto};
use super::tensor::Array;
use crate::error::GraphError;

/// A graph that is ready to run.
#[derive(Debug)]
pub struct Session {
    nodes: Vec<NodeProto>,
    /// Constants, and values that depend only on constants.
    constants: HashMap<String, Array>,
    input: String,
    outputs: Vec<String>,
    /// For each node, the values that no later node reads.
    freed: Vec<Vec<String>>,
}

impl Session {
    /// Prepares the graph of a model.
    ///
    /// # Errors
    ///
    /// [`GraphError`] for errors that show without an image.
    pub fn new(model: &ModelProto) -> Result<Self, GraphError> {
        let graph = model.graph.as_ref().ok_or_else(|| GraphError::NotOnnx("it has no graph".to_owned()))?;
        let mut constants = HashMap::new();
        for constant in &graph.initializer {
            constants.insert(constant.name().to_owned(), Array::of(constant)?);
        }
        // Weights in int8 are converted to floats once, not for each batch.
        let mut nodes = Vec::new();
        for node in &graph.node {
            let names = node.input.iter().filter(|name| !name.is_empty());
            if names.clone().count() > 0 && names.clone().all(|name| constants.contains_key(name)) {
                let result = run_node(node, |name| constants.get(name))?;
                constants.insert(output(node)?.to_owned(), result);
            } else {
                nodes.push(node.clone());
            }
        }
        let (input, outputs) = ends(graph)?;
        let freed = freed(&nodes, &outputs);
        Ok(Self { nodes, constants, input, outputs, freed })
    }

    /// The outputs for `images`, in the graph's order.
    ///
    /// # Errors
    ///
    /// [`GraphError`] if a node cannot be computed.
    pub fn run(&self, images: Array) -> Result<Vec<Array>, GraphError> {
        self.run_observed(images, |_, _| ())
    }

    /// [`run`](Self::run), which also calls `observe` with the name and value of the images and of every node's output.
    pub(super) fn run_observed(
        &self,
        images: Array,
        mut observe: impl FnMut(&str, &Array),
    ) -> Result<Vec<Array>, GraphError> {
        if !images.is_consistent() {
            return Err(GraphError::Node {
                node: self.input.clone(),
                reason: format!("the images do not have the number of values of the shape {:?}", images.shape),
            });
        }
        observe(&self.input, &images);
        let mut values = HashMap::from([(self.input.clone(), images)]);
        for (node, freed) in self.nodes.iter().zip(&self.freed) {
            let result = run_node(node, |name| values.get(name).or_else(|| self.constants.get(name)))?;
            let name = output(node)?;
            observe(name, &result);
            values.insert(name.to_owned(), result);
            for name in freed {
                values.remove(name);
            }
        }
        let missing = |name: &String| GraphError::Missing { user: "the graph's output".to_owned(), name: name.clone() };
        self.outputs.iter().map(|name| values.get(name).cloned().ok_or_else(|| missing(name))).collect()
    }
}

fn ends(graph: &GraphProto) -> Result<(String, Vec<String>), GraphError> {
    match &graph.input[..] {
        [input] => Ok((input.name().to_owned(), graph.output.iter().map(|output| output.name().to_owned()).collect())),
        inputs => Err(GraphError::NotOnnx(format!("it has {} inputs instead of one", inputs.len()))),
    }
}

fn output(node: &NodeProto) -> Result<&str, GraphError> {
    match &node.output[..] {
        [output] => Ok(output),
        _ => Err(GraphError::Node {
            node: node.name().to_owned(),
            reason: "it does not have exactly one output".to_owned(),
        }),
    }
}

fn run_node<'a>(node: &NodeProto, find: impl Fn(&str) -> Option<&'a Array>) -> Result<Array, GraphError> {
    let missing = |name: &str| GraphError::Missing { user: node.name().to_owned(), name: name.to_owned() };
    let input = |name: &String| match name.as_str() {
        "" => Ok(None),
        name => find(name).map(Some).ok_or_else(|| missing(name)),
    };
    let inputs = Inputs(node.input.iter().map(input).collect::<Result<_, _>>()?);
    match compute(node, &inputs) {
        Some(result) => result.map_err(|reason| GraphError::Node { node: node.name().to_owned(), reason }),
        None => Err(GraphError::Operator { node: node.name().to_owned(), operator: node.op_type().to_owned() }),
    }
}

/// For each node, the values that neither a later node nor an output reads.
fn freed(nodes: &[NodeProto], outputs: &[String]) -> Vec<Vec<String>> {
    let mut read_later: HashSet<&str> = outputs.iter().map(String::as_str).collect();
    let mut freed = Vec::with_capacity(nodes.len());
    for node in nodes.iter().rev() {
        freed.push(node.input.iter().filter(|name| read_later.insert(name)).cloned().collect());
    }
    freed.reverse();
    freed
}
