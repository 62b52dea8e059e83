use std::fs;
use std::path::Path;

use super::*;
use crate::network::Network;
use crate::store::DETECTOR;
use crate::tflite::{Sliding, Tensor};

/// A graph under construction.
struct Builder {
    graph: Graph,
    /// Values made so far, from which those of the next constant follow.
    seed: u64,
}

impl Builder {
    fn tensor(&mut self, shape: &[usize]) -> usize {
        self.graph.tensors.push(Tensor { shape: shape.to_vec(), constant: None });
        self.graph.tensors.len() - 1
    }

    fn floats(&mut self, shape: &[usize], scale: f32) -> usize {
        let length = shape.iter().product::<usize>() as u64;
        let values = (self.seed..self.seed + length).map(|k| ((k * 7919 % 251) as f32 / 125.0 - 1.0) * scale).collect();
        self.seed += length;
        self.graph.tensors.push(Tensor { shape: shape.to_vec(), constant: Some(Constant::Floats(values)) });
        self.graph.tensors.len() - 1
    }

    fn add(&mut self, kind: Kind, inputs: &[usize], shape: &[usize]) -> usize {
        let output = self.tensor(shape);
        self.graph.operations.push(Operation { kind, inputs: inputs.to_vec(), output });
        output
    }

    fn shape(&self, tensor: usize) -> [usize; 3] {
        let [_, height, width, channels] = self.graph.tensors[tensor].shape[..] else { panic!("no map") };
        [height, width, channels]
    }

    fn convolution(&mut self, input: usize, kernel: usize, stride: usize, channels: usize) -> usize {
        let [height, width, depth] = self.shape(input);
        let scale = 1.5 / ((kernel * kernel * depth) as f32).sqrt();
        let (weight, bias) = (self.floats(&[channels, kernel, kernel, depth], scale), self.floats(&[channels], 0.2));
        let shape = [1, height / stride, width / stride, channels];
        self.add(Kind::Convolution(sliding(stride, 0)), &[input, weight, bias], &shape)
    }

    fn block(&mut self, input: usize, stride: usize, channels: usize, has_shortcut: bool) -> usize {
        let [height, width, depth] = self.shape(input);
        let (weight, bias) = (self.floats(&[1, 3, 3, depth], 0.5), self.floats(&[depth], 0.2));
        let inner = [1, height / stride, width / stride, depth];
        let depthwise = self.add(Kind::Depthwise(sliding(stride, 0)), &[input, weight, bias], &inner);
        let mut output = self.convolution(depthwise, 1, 1, channels);
        let shape = [1, height / stride, width / stride, channels];
        if has_shortcut {
            let mut shortcut = input;
            if stride == 2 {
                shortcut = self.add(Kind::MaxPool(sliding(2, 2)), &[input], &inner);
            }
            if channels > depth {
                let zeros = vec![0, 0, 0, 0, 0, 0, 0, (channels - depth) as i32];
                self.graph.tensors.push(Tensor { shape: vec![4, 2], constant: Some(Constant::Integers(zeros)) });
                shortcut = self.add(Kind::Pad, &[shortcut, self.graph.tensors.len() - 1], &shape);
            }
            output = self.add(Kind::Add { relu: false }, &[shortcut, output], &shape);
        }
        self.add(Kind::Relu, &[output], &shape)
    }
}

fn sliding(stride: usize, kernel: usize) -> Sliding {
    Sliding { stride: [stride; 2], kernel: [kernel; 2], same: true, relu: false }
}

/// A network like BlazeFace's, of fewer blocks, for inputs of a size.
pub(crate) fn graph([height, width]: [usize; 2]) -> Graph {
    let graph = Graph { tensors: Vec::new(), operations: Vec::new(), input: 0, outputs: Vec::new() };
    let mut builder = Builder { graph, seed: 0 };
    let input = builder.tensor(&[1, height, width, 3]);
    let first = builder.convolution(input, 5, 2, 10);
    let mut map = builder.add(Kind::Relu, &[first], &[1, height / 2, width / 2, 10]);
    for (stride, channels) in [(1, 10), (1, 10), (2, 10), (1, 10), (2, 18), (1, 18), (2, 24), (1, 24)] {
        map = builder.block(map, stride, channels, true);
    }
    let coarse = builder.block(map, 2, 24, false);
    let outputs = [16, 1].map(|numbers| {
        let views = [(map, 2), (coarse, 6)].map(|(map, anchors)| {
            let [height, width, _] = builder.shape(map);
            let head = builder.convolution(map, 1, 1, anchors * numbers);
            builder.add(Kind::Reshape, &[head], &[1, height * width * anchors, numbers])
        });
        let length = views.map(|view| builder.graph.tensors[view].shape[1]).iter().sum();
        builder.add(Kind::Concatenate, &views, &[1, length, numbers])
    });
    builder.graph.outputs = outputs.to_vec();
    builder.graph
}

fn value(y: usize, x: usize, colour: usize) -> f32 {
    ((y * 7919 + x * 104_729 + colour * 31) % 251) as f32 / 125.0 - 1.0
}

/// The boxes and scores of the pixels of [`value`] from a row and a column on, in the order of the graph's outputs.
fn outputs(network: &BlazeFace, maps: &mut Maps, [top, left]: [usize; 2]) -> [Vec<f32>; 2] {
    let heads = network.run(maps, |[y, colour, first], columns| {
        for (x, column) in columns.iter_mut().enumerate() {
            *column = value(top + y, left + first + 2 * x, colour);
        }
    });
    let (mut boxes, mut scores) = (Vec::new(), Vec::new());
    for (rows, anchors) in heads.iter().zip([2, 6]) {
        for y in 0..rows.height() {
            for x in 0..rows.width() {
                scores.extend((0..anchors).map(|channel| rows.value(y, channel, x)));
                boxes.extend((anchors..17 * anchors).map(|channel| rows.value(y, channel, x)));
            }
        }
    }
    [boxes, scores]
}

/// Compares with the network as its graph has it.
fn check(graph: &Graph, network: &BlazeFace, size: [usize; 2], tolerance: f32) {
    let [height, width] = size;
    let input = (0..height * width * 3).map(|at| value(at / 3 / width, at / 3 % width, at % 3)).collect();
    let expected = Network::compile(graph).unwrap().run(input);
    let mut maps = network.maps(size);
    // Maps are used again.
    outputs(network, &mut maps, [5, 7]);
    for (found, expected) in outputs(network, &mut maps, [0, 0]).iter().zip(&expected) {
        assert_eq!(found.len(), expected.len());
        assert!(expected.iter().any(|value| value.abs() > 0.1), "a network of zeros");
        for (found, expected) in found.iter().zip(expected) {
            let scale = expected.abs().max(1.0);
            assert!((found - expected).abs() <= tolerance * scale, "{size:?}: {found} {expected}");
        }
    }
}

#[test]
fn rows_give_what_the_graph_gives() {
    let network = BlazeFace::of(&graph([64, 64])).unwrap();
    for size in [[32, 32], [64, 96], [160, 32], [96, 224], [32, 1056]] {
        check(&graph(size), &network, size, 1e-4);
    }
}

#[test]
fn a_part_of_an_image_gives_the_same_away_from_its_borders() {
    let network = BlazeFace::of(&graph([64, 64])).unwrap();
    let places = |size: [usize; 2], origin: [usize; 2]| {
        let [_, scores] = outputs(&network, &mut network.maps(size), origin);
        scores
    };
    let (image, part) = (places([320, 320], [0, 0]), places([192, 192], [64, 64]));
    // The map of every 16th pixel: the part begins at place 4. Three places from a border, no window of this network crosses it.
    for y in 3..9 {
        for x in 3..9 {
            for anchor in 0..2 {
                let found = part[(y * 12 + x) * 2 + anchor];
                let expected = image[((y + 4) * 20 + x + 4) * 2 + anchor];
                assert!((found - expected).abs() <= 1e-5, "{y} {x}: {found} {expected}");
            }
        }
    }
}

#[test]
fn another_network_is_none() {
    assert!(BlazeFace::of(&Graph::read(include_bytes!("../../tests/golden/small.tflite")).unwrap()).is_none());
}

#[test]
#[ignore = "needs the networks, which are not in the repository: VISAGE_FACES names their folder"]
fn rows_give_what_the_real_graph_gives() {
    let folder = std::env::var_os("VISAGE_FACES").expect("VISAGE_FACES names the folder of the networks");
    let graph = Graph::read(&fs::read(Path::new(&folder).join(DETECTOR.name)).unwrap()).unwrap();
    check(&graph, &BlazeFace::of(&graph).unwrap(), [256, 256], 1e-3);
}
