//! Finding the tensors of a network among those of a file.
//!
//! Programs store a network under a prefix: the attribute of the module that holds it (`model.`), a wrapper (`module.` of
//! `DataParallel`, `_orig_mod.` of `torch.compile`), or the key of a checkpoint (`state_dict.`). No list of prefixes is needed: a
//! prefix is right if the names that follow it are those of the network.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use visage_weights::{Tensor as FileTensor, TensorFile, TensorValues};

use crate::architecture::Architecture;
use crate::card::CARD;
use crate::depth::is_classifier;
use crate::error::LoadError;
use crate::model_file::TRAINING_PREFIX;
use crate::naming::Naming;
use crate::network::Network;
use crate::state_dict::file_shape;

/// Where in a file the tensors of a network are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub naming: Naming,
    /// The part of the names before the network's own: empty, or whole dotted parts, with the last dot.
    pub prefix: String,
    /// The number of the network's names that the file has here.
    names: usize,
}

impl Location {
    /// The prefix without its last dot.
    pub fn shown_prefix(&self) -> &str {
        self.prefix.trim_end_matches('.')
    }

    /// The number of dotted parts of the prefix.
    fn parts(&self) -> usize {
        self.prefix.matches('.').count()
    }
}

/// Whether `key` names a tensor of the classifier in one of the programs.
fn is_foreign_classifier(key: &str) -> bool {
    ["fc.", "classifier.", "_fc.", "shared_features."].iter().any(|prefix| key.starts_with(prefix))
}

/// Whether a tensor is a counter or an index, such as `num_batches_tracked` or `n_averaged`: networks compute with floats only.
fn is_counter(name: &str, tensor: &FileTensor) -> bool {
    tensor.data.as_f32().is_none() || name.ends_with("num_batches_tracked")
}

/// A search for the tensors of a network.
pub(crate) struct Search<'a> {
    architecture: Architecture,
    /// The path and the shape in the network of each parameter and running statistic.
    pub shapes: Vec<(String, Vec<usize>)>,
    file: &'a TensorFile,
    /// The names in the file, without those of a checkpoint's state of training.
    names: Vec<&'a str>,
}

impl<'a> Search<'a> {
    pub fn new(network: &Network, architecture: Architecture, file: &'a TensorFile) -> Self {
        let mut shapes = Vec::new();
        network.for_each(|path, _, data| shapes.push((path.to_owned(), data.shape().to_vec())));
        let is_checkpoint = file.metadata.contains_key(CARD);
        let names = file.tensors.keys().map(String::as_str);
        let names = names.filter(|name| !(is_checkpoint && name.starts_with(TRAINING_PREFIX))).collect();
        Self { architecture, shapes, file, names }
    }

    /// The tensor in the file of the parameter at `path` of the module tree.
    pub fn tensor(&self, at: &Location, path: &str) -> Option<&'a FileTensor> {
        self.file.tensors.get(&format!("{}{}", at.prefix, self.architecture.key(at.naming, path)))
    }

    /// The values of the parameter at `path`, if the file has them in the shape that follows from `dims`, the network's.
    pub fn values(&self, at: &Location, path: &str, dims: &[usize]) -> Option<&'a [f32]> {
        let tensor = self.tensor(at, path)?;
        tensor.data.as_f32().filter(|_| tensor.shape == file_shape(path, dims))
    }

    /// Whether the file has the whole classifier of the network.
    pub fn has_classifier(&self, at: &Location) -> bool {
        self.shapes.iter().all(|(path, dims)| !is_classifier(path) || self.values(at, path, dims).is_some())
    }

    fn has_backbone(&self, at: &Location) -> bool {
        self.shapes.iter().all(|(path, dims)| is_classifier(path) || self.values(at, path, dims).is_some())
    }

    /// The number of tensors in the file that are outside of a location: of other networks, losses or metrics.
    pub fn outside(&self, at: &Location) -> usize {
        let outside = |name: &&&str| !name.starts_with(&at.prefix) && !is_counter(name, &self.file.tensors[**name]);
        self.names.iter().filter(outside).count()
    }

    /// Where the file has tensors that load into the network, the shortest prefixes first. Only one of several equal copies is
    /// listed.
    ///
    /// # Errors
    ///
    /// [`LoadError::Mismatch`] when there are none.
    pub fn locations(&self) -> Result<Vec<Location>, LoadError> {
        let mut candidates = self.candidates();
        // Stable: of locations with equally many names, the first naming and the shortest prefix come first.
        candidates.sort_by_key(|candidate| Reverse(candidate.names));
        let backbone = self.shapes.iter().filter(|(path, _)| !is_classifier(path)).count();
        let complete: Vec<&Location> =
            candidates.iter().filter(|at| at.names >= backbone && self.has_backbone(at)).collect();
        let mut found: Vec<Location> = Vec::new();
        for &at in complete.iter().filter(|at| self.surplus(at, &complete).is_empty()) {
            // The same tensors have two namings where the names of one are those of the other after a prefix.
            if !found.iter().any(|known| self.same_weights(known, at)) {
                found.push(at.clone());
            }
        }
        if found.is_empty() {
            return Err(self.mismatch(&candidates, &complete));
        }
        found.sort_by_key(|at| (at.parts(), at.prefix.clone()));
        Ok(found)
    }

    /// Every naming and prefix with which the file has any of the network's names.
    fn candidates(&self) -> Vec<Location> {
        let mut candidates = Vec::new();
        for &naming in self.architecture.namings() {
            let keys: HashSet<String> =
                self.shapes.iter().map(|(path, _)| self.architecture.key(naming, path)).collect();
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for name in &self.names {
                let starts = std::iter::once(0).chain(name.match_indices('.').map(|(dot, _)| dot + 1));
                for start in starts.filter(|&start| keys.contains(&name[start..])) {
                    *counts.entry(&name[..start]).or_default() += 1;
                }
            }
            let location = |(prefix, names): (&str, usize)| Location { naming, prefix: prefix.to_owned(), names };
            let mut found: Vec<Location> = counts.into_iter().map(location).collect();
            found.sort_by_key(Location::parts);
            candidates.extend(found);
        }
        candidates
    }

    /// The names at a location that are neither the network's nor of another whole network below, which has a longer prefix.
    fn surplus(&self, at: &Location, complete: &[&Location]) -> Vec<String> {
        let keys: HashSet<String> =
            self.shapes.iter().map(|(path, _)| self.architecture.key(at.naming, path)).collect();
        let replaces_classifier = !self.has_classifier(at);
        let below = |name: &str| {
            let longer =
                |other: &&&Location| other.prefix.len() > at.prefix.len() && other.prefix.starts_with(&at.prefix);
            complete.iter().filter(longer).any(|other| name.starts_with(&other.prefix))
        };
        let is_surplus = |name: &&&str| {
            name.strip_prefix(at.prefix.as_str()).is_some_and(|key| {
                !(keys.contains(key)
                    || is_counter(name, &self.file.tensors[**name])
                    || replaces_classifier && is_foreign_classifier(key)
                    || below(name))
            })
        };
        self.names.iter().filter(is_surplus).map(|name| (*name).to_owned()).collect()
    }

    /// Whether two locations hold the same tensors, as far as both have them.
    fn same_weights(&self, one: &Location, other: &Location) -> bool {
        self.shapes.iter().all(|(path, _)| {
            let [one, other] = [one, other].map(|at| self.tensor(at, path));
            one.zip(other).is_none_or(|(one, other)| std::ptr::eq(one, other) || one == other)
        })
    }

    /// What is wrong at the location with the most names.
    fn mismatch(&self, candidates: &[Location], complete: &[&Location]) -> LoadError {
        let elsewhere = Location { naming: self.architecture.namings()[0], prefix: String::new(), names: 0 };
        // A few names of another network, such as `bn1.weight` in some block, do not show where this one should be.
        let nearest = candidates.first().filter(|at| 2 * at.names >= self.shapes.len()).unwrap_or(&elsewhere);
        let (mut missing, mut misshapen) = (Vec::new(), Vec::new());
        let replaces_classifier = !self.has_classifier(nearest);
        for (path, dims) in &self.shapes {
            if self.values(nearest, path, dims).is_some() || replaces_classifier && is_classifier(path) {
                continue;
            }
            let name = format!("{}{}", nearest.prefix, self.architecture.key(nearest.naming, path));
            match self.tensor(nearest, path) {
                Some(FileTensor { shape, data: TensorValues::F32(_) }) => {
                    misshapen.push(format!("{name} is {shape:?}, the network's is {:?}", file_shape(path, dims)));
                }
                Some(_) => misshapen.push(format!("{name} holds integers")),
                None => missing.push(name),
            }
        }
        LoadError::Mismatch {
            architecture: self.architecture,
            naming: nearest.naming,
            missing,
            misshapen,
            surplus: self.surplus(nearest, complete),
        }
    }
}
