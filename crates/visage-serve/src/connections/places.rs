//! The places for connections: who holds them, and whose is taken when a newcomer finds none free.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::client::Client;
use crate::metrics::Metrics;
use crate::options::Limits;

/// The places of a listener.
///
/// A connection on which no request is being worked on can lose its place at any time: it waits between requests, or a request or a
/// response is on its way. Where there is no free place, a newcomer gets that of the connection that has been so for the longest time,
/// first among the addresses that hold more than their share.
#[derive(Debug)]
pub(super) struct Places {
    limit: AtomicUsize,
    share: usize,
    open: Mutex<BTreeMap<u64, Arc<Place>>>,
    next: AtomicU64,
    /// Signalled when a place is free, or may be taken from its connection.
    pub(super) changed: Notify,
    metrics: Arc<Metrics>,
}

/// The place of a connection.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    client: Client,
    doing: Mutex<Doing>,
    lost: Notify,
}

#[derive(Debug)]
struct Doing {
    /// Requests that have arrived as a whole and are not answered yet.
    requests: usize,
    /// Whether a part of a request has arrived.
    is_receiving: bool,
    /// Since when there has been no request to work on.
    since: Instant,
}

/// A place that is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    places: Arc<Places>,
    pub(super) place: Arc<Place>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.places.open().remove(&self.place.number);
        self.places.metrics.connections.dec();
        self.places.changed.notify_one();
    }
}

impl Places {
    pub(super) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            limit: AtomicUsize::new(limits.connections.max(1)),
            share: limits.connections_per_client,
            open: Mutex::default(),
            next: AtomicU64::new(0),
            changed: Notify::new(),
            metrics,
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Place>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a newcomer; `None` while requests are being worked on at all of them.
    pub(super) fn take(self: &Arc<Self>, client: Client) -> Option<Held> {
        let mut open = self.open();
        if open.len() >= self.limit.load(Ordering::Relaxed) && !self.reclaim(&mut open) {
            return None;
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let doing = Doing { requests: 0, is_receiving: false, since: Instant::now() };
        let place = Arc::new(Place { number, client, doing: Mutex::new(doing), lost: Notify::new() });
        open.insert(number, Arc::clone(&place));
        self.metrics.connections.inc();
        Some(Held { places: Arc::clone(self), place })
    }

    /// Takes a place from its connection. Returns whether there was one that could be taken.
    fn reclaim(&self, open: &mut BTreeMap<u64, Arc<Place>>) -> bool {
        let mut held: HashMap<Client, usize> = HashMap::new();
        for place in open.values() {
            *held.entry(place.client).or_default() += 1;
        }
        let is_within_share = |place: &Place| held.get(&place.client).is_some_and(|&held| held <= self.share);
        let slowest = open
            .values()
            .filter_map(|place| Some((is_within_share(place), place.unoccupied_since()?, place.number)))
            .min();
        let Some(place) = slowest.and_then(|(.., number)| open.remove(&number)) else { return false };
        self.metrics.connections_reclaimed.inc();
        place.lost.notify_one();
        true
    }

    /// Lowers the limit to what the system allows, after it has refused a connection. Returns the new limit, if it could make room.
    pub(super) fn shrink(&self, room: usize) -> Option<usize> {
        let mut open = self.open();
        let limit = open.len().saturating_sub(room).max(1);
        self.limit.fetch_min(limit, Ordering::Relaxed);
        let mut made_room = false;
        while open.len() > limit && self.reclaim(&mut open) {
            made_room = true;
        }
        made_room.then_some(limit)
    }

    /// Takes the places of connections that have been idle, or have not taken their response, for longer than `limit`.
    pub(super) fn expire(&self, limit: Duration) {
        self.open().retain(|_, place| {
            let is_late = place.unoccupied_since().is_some_and(|since| since.elapsed() > limit);
            if is_late {
                place.lost.notify_one();
            }
            !is_late
        });
    }
}

impl Place {
    fn doing(&self) -> MutexGuard<'_, Doing> {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn client(&self) -> Client {
        self.client
    }

    /// Completes when the place is given to another connection.
    pub(super) async fn lost(&self) {
        self.lost.notified().await;
    }

    fn unoccupied_since(&self) -> Option<Instant> {
        let doing = self.doing();
        (doing.requests == 0).then_some(doing.since)
    }

    /// Records that bytes have arrived. Those that follow the first ones of a request do not make it younger.
    pub(super) fn receives(&self) {
        let mut doing = self.doing();
        if doing.requests == 0 && !doing.is_receiving {
            (doing.is_receiving, doing.since) = (true, Instant::now());
        }
    }

    /// Whether a part of a request has arrived, and not all of it.
    pub(super) fn is_receiving(&self) -> bool {
        let doing = self.doing();
        doing.requests == 0 && doing.is_receiving
    }

    /// Since when no part of a request has arrived, if none is here.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let doing = self.doing();
        (doing.requests == 0 && !doing.is_receiving).then_some(doing.since)
    }

    fn begins(&self) {
        self.doing().requests += 1;
    }

    fn ends(&self, had_begun: bool) {
        let mut doing = self.doing();
        doing.requests -= usize::from(had_begun);
        (doing.is_receiving, doing.since) = (false, Instant::now());
    }
}

/// A request, from its head to its response. It keeps the place occupied once all of it has arrived.
#[derive(Debug)]
pub(super) struct Occupation {
    place: Arc<Place>,
    stage: Mutex<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Arriving,
    Complete,
    Answered,
}

impl Occupation {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self { place, stage: Mutex::new(Stage::Arriving) }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last byte of the request has arrived.
    pub(super) fn completes(&self) {
        let mut stage = self.stage();
        if *stage == Stage::Arriving {
            *stage = Stage::Complete;
            self.place.begins();
        }
    }

    /// There is a response, or nobody who waits for one.
    fn ends(&self) {
        let mut stage = self.stage();
        if *stage != Stage::Answered {
            self.place.ends(*stage == Stage::Complete);
            *stage = Stage::Answered;
        }
    }
}

/// Ends an occupation when it is dropped.
pub(super) struct EndOnDrop(pub(super) Arc<Occupation>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.ends();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(connections: usize, share: usize) -> Arc<Places> {
        let limits = Limits { connections, connections_per_client: share, ..Limits::default() };
        Arc::new(Places::new(&limits, Arc::new(Metrics::new())))
    }

    fn is_lost(held: &Held) -> bool {
        let open = held.places.open();
        !open.contains_key(&held.place.number)
    }

    fn occupied(held: &Held) -> EndOnDrop {
        let occupation = Arc::new(Occupation::new(Arc::clone(&held.place)));
        occupation.completes();
        EndOnDrop(occupation)
    }

    #[test]
    fn the_longest_unoccupied_connection_makes_room() {
        let (places, client) = (places(3, 3), Client::numbered(1));
        let held: Vec<_> = (0..3).map(|_| places.take(client).unwrap()).collect();
        let working = occupied(&held[0]);
        // A client that sends slowly is not younger with each byte.
        held[1].place.receives();
        held[2].place.receives();
        held[1].place.receives();
        let newcomer = places.take(client).unwrap();
        assert_eq!(held.iter().map(is_lost).collect::<Vec<_>>(), [false, true, false]);
        let _others = [occupied(&held[2]), occupied(&newcomer)];
        assert!(places.take(client).is_none(), "requests are being worked on at all places");
        drop(working);
        let last = places.take(client).unwrap();
        assert!(is_lost(&held[0]) && !is_lost(&last));
    }

    #[test]
    fn an_address_beyond_its_share_makes_room_first() {
        let places = places(4, 2);
        let other = places.take(Client::numbered(2)).unwrap();
        let greedy: Vec<_> = (0..3).map(|_| places.take(Client::numbered(1)).unwrap()).collect();
        let _newcomer = places.take(Client::numbered(3)).unwrap();
        assert!(!is_lost(&other) && is_lost(&greedy[0]), "the oldest of the address with three");
        let _next = places.take(Client::numbered(3)).unwrap();
        assert!(is_lost(&other), "all are within their shares: the oldest");
    }

    #[test]
    fn the_limit_follows_what_the_system_allows() {
        let (places, client) = (places(10, 10), Client::numbered(1));
        let held: Vec<_> = (0..6).map(|_| places.take(client).unwrap()).collect();
        assert_eq!(places.shrink(2), Some(4));
        assert_eq!(held.iter().filter(|held| is_lost(held)).count(), 2);
        let _newcomer = places.take(client).unwrap();
        assert_eq!(held.iter().filter(|held| is_lost(held)).count(), 3);
        places.expire(Duration::from_secs(3600));
        assert_eq!(places.open().len(), 4);
        places.expire(Duration::ZERO);
        assert!(places.open().is_empty());
    }
}
