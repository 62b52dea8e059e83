//! The places for connections: who holds them, and whose is taken when a newcomer finds none free.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::client::Client;
use crate::metrics::Metrics;
use crate::options::Limits;

/// Time in which the request of a new connection is read, or a response is written. A thousand places without requests make room for
/// 20,000 newcomers a second.
const PATIENCE: Duration = Duration::from_millis(50);

/// Time after a client was told that its connection ends in which a request is still answered. It may have been on its way.
pub(super) const LAST_REQUEST: Duration = Duration::from_secs(1);

/// The places of a listener.
///
/// A connection on which no request is being worked on can lose its place at any time: it waits between requests, or a request or a
/// response is on its way. Where there is no free place, a newcomer gets that of the connection that has been so for the longest time,
/// first among the addresses that hold more than their share, and among connections whose clients were told that they end.
///
/// While a newcomer waits because requests are being worked on at all places, connections end with their next response, unless others
/// hold more than their share. Otherwise a client that always sends the next request before it has the response would keep its place.
#[derive(Debug)]
pub(super) struct Places {
    limit: AtomicUsize,
    share: usize,
    /// Requests on one connection.
    requests: usize,
    /// Time that a connection is used.
    age: Duration,
    open: Mutex<BTreeMap<u64, Arc<Place>>>,
    next: AtomicU64,
    /// Whether a newcomer waits for a place.
    is_short: AtomicBool,
    /// Time in which a connection without a request cannot lose its place.
    patience: Duration,
    /// Signalled when a place is free, or may be taken from its connection.
    pub(super) changed: Notify,
    metrics: Arc<Metrics>,
}

/// The place of a connection.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    number: u64,
    client: Client,
    opened: Instant,
    doing: Mutex<Doing>,
    lost: Notify,
}

#[derive(Debug)]
struct Doing {
    /// Requests that have arrived as a whole and are not answered yet.
    requests: usize,
    /// Requests that are answered.
    answered: usize,
    /// When the client was told that the connection ends.
    ending_since: Option<Instant>,
    /// Whether a part of a request has arrived.
    is_receiving: bool,
    /// Since when there has been no request to work on.
    since: Instant,
}

/// A place that is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) place: Arc<Place>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let places = &self.place.places;
        places.open().remove(&self.place.number);
        places.metrics.connections.dec();
        places.changed.notify_one();
    }
}

impl Places {
    pub(super) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        Self {
            limit: AtomicUsize::new(limits.connections.max(1)),
            share: limits.connections_per_client,
            requests: limits.requests_per_connection,
            age: limits.connection_age,
            open: Mutex::default(),
            next: AtomicU64::new(0),
            is_short: AtomicBool::new(false),
            patience: PATIENCE,
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
        let is_short = open.len() >= self.limit.load(Ordering::Relaxed) && !self.reclaim(&mut open);
        self.is_short.store(is_short, Ordering::Relaxed);
        if is_short {
            return None;
        }
        let (number, opened) = (self.next.fetch_add(1, Ordering::Relaxed), Instant::now());
        let doing = Doing { requests: 0, answered: 0, ending_since: None, is_receiving: false, since: opened };
        let (places, doing) = (Arc::clone(self), Mutex::new(doing));
        let place = Arc::new(Place { places, number, client, opened, doing, lost: Notify::new() });
        open.insert(number, Arc::clone(&place));
        self.metrics.connections.inc();
        Some(Held { place })
    }

    /// Whether a connection of this client ends with its next response, because a newcomer waits.
    fn is_wanted_from(&self, client: Client) -> bool {
        self.is_short.load(Ordering::Relaxed) && {
            let held = held(&self.open());
            let is_within_share = |&held: &usize| held <= self.share;
            !held.get(&client).is_some_and(is_within_share) || held.values().all(is_within_share)
        }
    }

    /// Takes a place from its connection. Returns whether there was one that could be taken.
    fn reclaim(&self, open: &mut BTreeMap<u64, Arc<Place>>) -> bool {
        let held = held(open);
        let is_within_share = |place: &Place| held.get(&place.client).is_some_and(|&held| held <= self.share);
        let slowest = open
            .values()
            .filter_map(|place| {
                let since = place.unoccupied_since().filter(|since| since.elapsed() >= self.patience)?;
                Some((is_within_share(place), !place.is_ending(), since, place.number))
            })
            .min();
        let Some(place) = slowest.and_then(|(.., number)| open.remove(&number)) else { return false };
        self.metrics.connections_reclaimed.inc();
        place.lost.notify_one();
        true
    }

    pub(super) fn are_full(&self) -> bool {
        self.open().len() >= self.limit.load(Ordering::Relaxed)
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

    /// Takes the places of those among these connections that have been idle, or have not taken their response, for longer than `limit`.
    pub(super) fn expire(&self, limit: Duration, among: impl Fn(&Place) -> bool) {
        self.open().retain(|_, place| {
            let is_late = among(place) && place.unoccupied_since().is_some_and(|since| since.elapsed() > limit);
            if is_late {
                place.lost.notify_one();
            }
            !is_late
        });
    }
}

/// The number of places that each client holds.
fn held(open: &BTreeMap<u64, Arc<Place>>) -> HashMap<Client, usize> {
    let mut held = HashMap::new();
    for place in open.values() {
        *held.entry(place.client).or_default() += 1;
    }
    held
}

/// A tenth more or less than `age`, so that connections that are opened together do not all end together.
fn spread(age: Duration, number: u64) -> Duration {
    // The fractions of the multiples of the golden ratio are spread evenly.
    let fraction = (number as f64 * 0.618_033_988_749_895).fract();
    (age - age / 10).saturating_add((age / 5).mul_f64(fraction))
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

    /// How long the connection is used.
    pub(super) fn age_limit(&self) -> Duration {
        spread(self.places.age, self.number)
    }

    /// Whether the connection ends with the response to an answered request: it has had its requests or its time, or a newcomer waits.
    pub(super) fn is_spent(&self) -> bool {
        let answered = self.doing().answered;
        answered >= self.places.requests
            || self.opened.elapsed() >= self.age_limit()
            || self.places.is_wanted_from(self.client)
    }

    /// Records that the client is told that the connection ends.
    pub(super) fn ending(&self) {
        self.doing().ending_since.get_or_insert_with(Instant::now);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.doing().ending_since.is_some()
    }

    /// Records that all of a request has arrived. Returns whether it occupies the place: not if it was sent long after the client was
    /// told that the connection ends.
    fn begins(&self) -> bool {
        let mut doing = self.doing();
        let occupies = doing.ending_since.is_none_or(|since| since.elapsed() <= LAST_REQUEST);
        doing.requests += usize::from(occupies);
        occupies
    }

    fn ends(&self, occupied: bool) {
        let mut doing = self.doing();
        doing.requests -= usize::from(occupied);
        doing.answered += 1;
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
    Complete { occupies: bool },
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
            *stage = Stage::Complete { occupies: self.place.begins() };
        }
    }

    /// There is a response, or nobody who waits for one.
    fn ends(&self) {
        let mut stage = self.stage();
        if *stage != Stage::Answered {
            self.place.ends(*stage == Stage::Complete { occupies: true });
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
        Arc::new(Places { patience: Duration::ZERO, ..Places::new(&limits, Arc::new(Metrics::new())) })
    }

    fn is_lost(held: &Held) -> bool {
        let open = held.place.places.open();
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
    fn a_connection_that_was_told_to_end_makes_room_first_and_a_new_one_has_time_for_its_request() {
        let (mut places, client) = (places(2, 2), Client::numbered(1));
        Arc::get_mut(&mut places).unwrap().patience = Duration::from_millis(500);
        let (first, second) = (places.take(client).unwrap(), places.take(client).unwrap());
        second.place.ending();
        assert!(places.take(client).is_none());
        std::thread::sleep(places.patience);
        let _newcomer = places.take(client).unwrap();
        assert!(is_lost(&second) && !is_lost(&first));
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
        places.expire(Duration::from_secs(3600), |_| true);
        places.expire(Duration::ZERO, |_| false);
        assert_eq!(places.open().len(), 4);
        places.expire(Duration::ZERO, |_| true);
        assert!(places.open().is_empty());
    }

    #[test]
    fn connections_give_way_to_a_newcomer_that_waits_first_those_of_an_address_beyond_its_share() {
        let places = places(4, 2);
        let modest = places.take(Client::numbered(2)).unwrap();
        let greedy: Vec<_> = (0..3).map(|_| places.take(Client::numbered(1)).unwrap()).collect();
        let mut working: Vec<_> = greedy.iter().chain([&modest]).map(occupied).collect();
        assert!(!greedy[0].place.is_spent());
        assert!(places.take(Client::numbered(3)).is_none());
        assert!(greedy[0].place.is_spent() && !modest.place.is_spent());
        drop(working.remove(0));
        let newcomer = places.take(Client::numbered(3)).unwrap();
        assert!(is_lost(&greedy[0]) && !greedy[1].place.is_spent(), "nobody waits");
        working.push(occupied(&newcomer));
        assert!(places.take(Client::numbered(3)).is_none());
        assert!(greedy[1].place.is_spent() && modest.place.is_spent(), "all are within their shares");
    }

    #[test]
    fn the_requests_and_the_time_of_a_connection_are_bounded() {
        let client = Client::numbered(1);
        let with = |requests_per_connection, connection_age| {
            let limits = Limits { requests_per_connection, connection_age, ..Limits::default() };
            Arc::new(Places::new(&limits, Arc::new(Metrics::new())))
        };
        let (forever, held) = (Duration::MAX, with(2, Duration::MAX).take(client).unwrap());
        drop(occupied(&held));
        assert!(!held.place.is_spent());
        drop(occupied(&held));
        assert!(held.place.is_spent());
        assert!(with(2, Duration::ZERO).take(client).unwrap().place.is_spent());
        assert!(!with(2, forever).take(client).unwrap().place.is_spent());
        let hour = Duration::from_secs(3600);
        let times: Vec<Duration> = (0..10).map(|number| spread(hour, number)).collect();
        assert!(times.iter().all(|time| (54 * 60..66 * 60).contains(&time.as_secs())), "{times:?}");
        let early = times.iter().filter(|time| **time < hour).count();
        assert!((4..=6).contains(&early), "{times:?}");
    }

    #[test]
    #[cfg(feature = "grpc")]
    fn requests_after_the_end_was_announced_do_not_keep_the_place() {
        let (places, client) = (places(1, 1), Client::numbered(1));
        let held = places.take(client).unwrap();
        held.place.ending();
        let on_its_way = occupied(&held);
        assert!(places.take(client).is_none());
        held.place.doing().ending_since = Instant::now().checked_sub(2 * LAST_REQUEST);
        let _late = occupied(&held);
        assert!(places.take(client).is_none());
        drop(on_its_way);
        assert!(places.take(client).is_some() && is_lost(&held));
    }
}
