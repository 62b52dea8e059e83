//! Computes what an ONNX file of visage says.
//!
//! It is no runtime for others: it knows the operators that visage writes, and exists so that a file is judged by what is in
//! it, before anybody relies on it, on every machine.

use std::collections::{HashMap, HashSet};

use super::operators::{Inputs, compute};
use super::schema::{GraphProto, ModelProto, NodeProto};
use super::tensor::Array;
use crate::error::GraphError;

/// A graph ready to be computed.
#[derive(Debug)]
pub struct Session {
    nodes: Vec<NodeProto>,
    /// Constants, and what follows from constants alone.
    constants: HashMap<String, Array>,
    input: String,
    outputs: Vec<String>,
    /// For each node, the values that no later one needs.
    spent: Vec<Vec<String>>,
}

impl Session {
    /// Gets the graph of a model ready.
    ///
    /// # Errors
    ///
    /// [`GraphError`] where it cannot be computed here, as far as that shows without an image.
    pub fn new(model: &ModelProto) -> Result<Self, GraphError> {
        let graph = model.graph.as_ref().ok_or_else(|| GraphError::NotOnnx("it has no graph".to_owned()))?;
        let mut constants = HashMap::new();
        for constant in &graph.initializer {
            constants.insert(constant.name().to_owned(), Array::of(constant)?);
        }
        // Weights in int8 become floats once, and not once a batch.
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
        let spent = spent(&nodes, &outputs);
        Ok(Self { nodes, constants, input, outputs, spent })
    }

    /// The outputs, in the graph's order, for `images`.
    ///
    /// # Errors
    ///
    /// [`GraphError`] where a node cannot be computed.
    pub fn run(&self, images: Array) -> Result<Vec<Array>, GraphError> {
        self.run_seen(images, |_, _| ())
    }

    /// The same; `see` is shown the images and every value on the way, with its name.
    ///
    /// # Errors
    ///
    /// As [`Session::run`].
    pub fn run_seen(&self, images: Array, mut see: impl FnMut(&str, &Array)) -> Result<Vec<Array>, GraphError> {
        if !images.is_sound() {
            return Err(GraphError::Node {
                node: self.input.clone(),
                reason: format!("the images have not as many values as {:?} says", images.shape),
            });
        }
        see(&self.input, &images);
        let mut values = HashMap::from([(self.input.clone(), images)]);
        for (node, spent) in self.nodes.iter().zip(&self.spent) {
            let result = run_node(node, |name| values.get(name).or_else(|| self.constants.get(name)))?;
            let name = output(node)?;
            see(name, &result);
            values.insert(name.to_owned(), result);
            for name in spent {
                values.remove(name);
            }
        }
        let missing = |name: &String| GraphError::Missing { user: "the graph's output".to_owned(), name: name.clone() };
        self.outputs.iter().map(|name| values.get(name).cloned().ok_or_else(|| missing(name))).collect()
    }
}

/// The names of the input and of the outputs.
fn ends(graph: &GraphProto) -> Result<(String, Vec<String>), GraphError> {
    match &graph.input[..] {
        [input] => Ok((input.name().to_owned(), graph.output.iter().map(|output| output.name().to_owned()).collect())),
        inputs => Err(GraphError::NotOnnx(format!("visage writes graphs of one input, this one has {}", inputs.len()))),
    }
}

fn output(node: &NodeProto) -> Result<&str, GraphError> {
    match &node.output[..] {
        [output] => Ok(output),
        _ => Err(GraphError::Node { node: node.name().to_owned(), reason: "it has not one output".to_owned() }),
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

/// What may be forgotten after each node.
fn spent(nodes: &[NodeProto], kept: &[String]) -> Vec<Vec<String>> {
    let mut seen: HashSet<&str> = kept.iter().map(String::as_str).collect();
    let mut spent = Vec::with_capacity(nodes.len());
    for node in nodes.iter().rev() {
        spent.push(node.input.iter().filter(|name| seen.insert(name)).cloned().collect());
    }
    spent.reverse();
    spent
}
