//! Whose turn it is: models take turns, and the clients of a model do so within its turns.

use std::collections::VecDeque;

use crate::client::{Client, Party};

/// The items of each client of a model. The first client is the next to have a turn.
type Clients<T> = VecDeque<(Client, VecDeque<T>)>;

/// Items that wait for a turn.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    models: VecDeque<(String, Clients<T>)>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { models: VecDeque::new() }
    }
}

impl<T> Turns<T> {
    pub(crate) fn push(&mut self, party: &Party, item: T) {
        let clients = entry(&mut self.models, &party.model);
        entry(clients, &party.client).push_back(item);
    }

    /// The item whose turn is next.
    pub(crate) fn first(&self) -> Option<&T> {
        self.models.front()?.1.front()?.1.front()
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let (model, mut clients) = self.models.pop_front()?;
        let (client, mut items) = clients.pop_front()?;
        let item = items.pop_front();
        if !items.is_empty() {
            clients.push_back((client, items));
        }
        if !clients.is_empty() {
            self.models.push_back((model, clients));
        }
        item
    }
}

/// The queue of `key`, at the end of all others if it is new.
fn entry<'a, K: PartialEq + Clone, V>(queues: &'a mut VecDeque<(K, VecDeque<V>)>, key: &K) -> &'a mut VecDeque<V> {
    let at = queues.iter().position(|(other, _)| other == key).unwrap_or_else(|| {
        queues.push_back((key.clone(), VecDeque::new()));
        queues.len() - 1
    });
    &mut queues[at].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_take_turns_and_so_do_their_clients() {
        let mut turns = Turns::default();
        let party = |model: &str, client| Party { model: model.to_owned(), client: Client::numbered(client) };
        for item in ["a1", "a2", "a3"] {
            turns.push(&party("a", 1), item);
        }
        turns.push(&party("a", 2), "a4");
        turns.push(&party("b", 1), "b1");
        turns.push(&party("b", 1), "b2");
        assert_eq!(turns.first(), Some(&"a1"));
        let order: Vec<&str> = std::iter::from_fn(|| turns.pop()).collect();
        assert_eq!(order, ["a1", "b1", "a4", "b2", "a2", "a3"]);
        assert!(turns.first().is_none());
    }
}
