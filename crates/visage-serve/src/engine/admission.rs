//! The room in the queue: who holds how much of it, and who makes room when it is full.
//!
//! As long as there is room, everyone gets it. When the queue is full, a request is admitted if its model would still hold no more than
//! another model, or its client no more than another client of the same model; the latest requests of that other one are then refused.
//! So a flood is held back to the share that others do not use, and no part of the queue is kept empty for anybody.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use super::queue::{Job, Queue};
use crate::client::Party;
use crate::problem::Problem;

/// Images that are admitted and not yet answered, by the order of admission.
#[derive(Debug, Default)]
pub(super) struct Admissions {
    held: BTreeMap<u64, Holding>,
    next: u64,
    images: usize,
    decoding: usize,
}

#[derive(Debug)]
struct Holding {
    party: Party,
    images: usize,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The images are being decoded. The channel says that the room is lost.
    Decoding {
        _lost: oneshot::Sender<()>,
    },
    Waiting,
    Running,
}

impl Admissions {
    /// The number of admitted images.
    pub(super) fn images(&self) -> usize {
        self.images
    }

    /// Those of them that are still being decoded.
    pub(super) fn decoding(&self) -> usize {
        self.decoding
    }

    /// Adds an admission. The receiver is closed when another takes its room while its images are being decoded.
    pub(super) fn add(&mut self, party: Party, images: usize) -> (u64, oneshot::Receiver<()>) {
        let (lost, is_lost) = oneshot::channel();
        let number = self.next;
        self.next += 1;
        self.images += images;
        self.decoding += images;
        self.held.insert(number, Holding { party, images, stage: Stage::Decoding { _lost: lost } });
        (number, is_lost)
    }

    /// Removes an admission, if it is still there. Returns whether its images were being decoded.
    fn remove(&mut self, number: u64) -> bool {
        let Some(holding) = self.held.remove(&number) else { return false };
        self.images -= holding.images;
        let was_decoding = matches!(holding.stage, Stage::Decoding { .. });
        if was_decoding {
            self.decoding -= holding.images;
        }
        was_decoding
    }

    pub(super) fn displace(&mut self, number: u64) {
        self.remove(number);
    }

    /// Records that the images are decoded. Returns whether the admission is still there.
    pub(super) fn decoded(&mut self, number: u64) -> bool {
        let Some(holding) = self.held.get_mut(&number) else { return false };
        if matches!(holding.stage, Stage::Decoding { .. }) {
            self.decoding -= holding.images;
        }
        holding.stage = Stage::Waiting;
        true
    }

    /// Records that the network runs on the images, so that their room can no longer be taken.
    pub(super) fn runs(&mut self, number: u64) {
        if let Some(holding) = self.held.get_mut(&number) {
            holding.stage = Stage::Running;
        }
    }

    /// The admissions that must go for `images` more of a party; `None` if there is no room. `own` is the party's admission that grows.
    pub(super) fn room_for(&self, party: &Party, own: Option<u64>, images: usize, capacity: usize) -> Option<Vec<u64>> {
        let of_own = own.and_then(|number| self.held.get(&number)).map_or(0, |own| own.images);
        // A single request may be larger than the queue.
        if self.images == of_own || self.images + images <= capacity {
            return Some(Vec::new());
        }
        if of_own + images > capacity {
            return None;
        }
        let (mut models, mut clients) = (HashMap::<&str, usize>::new(), HashMap::<&Party, usize>::new());
        for holding in self.held.values() {
            *models.entry(&holding.party.model).or_default() += holding.images;
            *clients.entry(&holding.party).or_default() += holding.images;
        }
        let (mut chosen, mut excess) = (Vec::new(), self.images + images - capacity);
        let with_images = |held: Option<&usize>| held.copied().unwrap_or_default() + images;
        while excess > 0 {
            let (own_model, own_client) = (with_images(models.get(&*party.model)), with_images(clients.get(party)));
            let may_go = |(number, holding): &(&u64, &Holding)| {
                let (model, client) = (models[&*holding.party.model], clients[&holding.party]);
                let is_larger = if holding.party.model == party.model {
                    holding.party != *party && own_client + holding.images <= client
                } else {
                    own_model + holding.images <= model
                };
                is_larger && !matches!(holding.stage, Stage::Running) && !chosen.contains(*number)
            };
            let size = |holding: &Holding| (models[&*holding.party.model], clients[&holding.party]);
            let goes = self.held.iter().filter(may_go).max_by_key(|(number, holding)| (size(holding), **number));
            let (&number, holding) = goes?;
            chosen.push(number);
            excess = excess.saturating_sub(holding.images);
            for held in [models.get_mut(&*holding.party.model), clients.get_mut(&holding.party)].into_iter().flatten() {
                *held -= holding.images;
            }
        }
        Some(chosen)
    }

    /// Changes the number of images of an admission. Returns whether it is still there.
    fn resize(&mut self, number: u64, images: usize) -> bool {
        let Some(holding) = self.held.get_mut(&number) else { return false };
        self.images = self.images - holding.images + images;
        if matches!(holding.stage, Stage::Decoding { .. }) {
            self.decoding = self.decoding - holding.images + images;
        }
        holding.images = images;
        true
    }
}

/// Room for some images in the queue. Dropping it frees the room.
#[derive(Debug)]
pub(crate) struct Admission {
    queue: Arc<Queue>,
    number: u64,
    party: Party,
    images: usize,
    is_lost: oneshot::Receiver<()>,
}

impl Admission {
    pub(super) fn new(
        queue: Arc<Queue>,
        number: u64,
        party: Party,
        images: usize,
        is_lost: oneshot::Receiver<()>,
    ) -> Self {
        Self { queue, number, party, images, is_lost }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn images(&self) -> usize {
        self.images
    }

    pub(crate) fn party(&self) -> &Party {
        &self.party
    }

    /// The result of `work` on images that are being decoded; an error, and an end of the work, if the room is lost meanwhile.
    pub(crate) async fn keep<T>(&mut self, work: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
        match select(pin!(work), &mut self.is_lost).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(Problem::displaced()),
        }
    }

    /// Changes the number of images, once it is known. The room for more may be missing.
    pub(crate) fn resize(&mut self, images: usize) -> Result<(), Problem> {
        let queue = Arc::clone(&self.queue);
        let mut state = queue.state();
        let mut displaced = Vec::new();
        if images > self.images {
            let (more, capacity) = (images - self.images, queue.capacity());
            let Some(numbers) = state.admissions.room_for(&self.party, Some(self.number), more, capacity) else {
                let others = state.admissions.images() - self.images;
                return Err(Problem::busy(&format!(
                    "{others} of {capacity} images are waiting, and this request has {images} images or faces"
                )));
            };
            displaced = state.displace(&numbers);
        }
        let is_there = state.admissions.resize(self.number, images);
        queue.metrics.queue.set(state.admissions.images() as i64);
        drop(state);
        displaced.into_iter().for_each(Job::loses_room);
        self.images = images;
        if is_there { Ok(()) } else { Err(Problem::displaced()) }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        if state.admissions.remove(self.number) {
            self.queue.changed.notify_one();
        }
        self.queue.metrics.queue.set(state.admissions.images() as i64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    fn party(model: &str, client: u8) -> Party {
        Party { model: model.to_owned(), client: Client::numbered(client) }
    }

    #[test]
    fn a_full_queue_is_shared_evenly_among_models() {
        let mut admissions = Admissions::default();
        let (flood, other) = (party("a", 1), party("b", 2));
        for _ in 0..8 {
            admissions.add(flood.clone(), 1);
        }
        assert_eq!(admissions.room_for(&flood, None, 1, 8), None);
        let mut admitted = 0;
        while let Some(displaced) = admissions.room_for(&other, None, 1, 8) {
            assert_eq!(displaced.len(), 1);
            displaced.into_iter().for_each(|number| admissions.displace(number));
            admissions.add(other.clone(), 1);
            admitted += 1;
        }
        assert_eq!((admitted, admissions.images()), (4, 8));
        assert!(admissions.held.keys().take(4).eq(&[0, 1, 2, 3]), "the latest ones have made room");
        assert_eq!(admissions.room_for(&flood, None, 1, 8), None, "each has half of it");
    }

    #[test]
    fn clients_of_a_model_share_what_it_has() {
        let mut admissions = Admissions::default();
        for _ in 0..2 {
            admissions.add(party("a", 1), 3);
        }
        let (late, _lost) = admissions.add(party("a", 2), 1);
        assert_eq!(admissions.room_for(&party("a", 3), None, 1, 7), Some(vec![1]), "of the client with the most");
        assert_eq!(admissions.room_for(&party("a", 2), None, 3, 7), None, "more than would be left to the other");
        assert_eq!(admissions.room_for(&party("a", 3), None, 8, 7), None, "more than the queue can hold");
        assert!(admissions.decoded(1));
        admissions.runs(1);
        assert_eq!(admissions.room_for(&party("a", 3), None, 1, 7), Some(vec![0]), "not what is running");
        assert!(admissions.decoded(0));
        assert_eq!(admissions.decoding(), 1);
        admissions.displace(0);
        assert_eq!((admissions.images(), admissions.decoding()), (4, 1));
        assert!(admissions.decoded(late) && !admissions.decoded(0));
    }
}
