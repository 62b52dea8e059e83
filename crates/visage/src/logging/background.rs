//! A log that a thread of its own writes, for a server: nothing else waits for standard error, or fails with it.
//!
//! Lines that find the queue full, because nobody reads them, and lines that cannot be written are dropped and counted.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Most lines that wait to be written. The longest one, with a client's method in it, has 16 KiB.
const CAPACITY: usize = 1024;

/// Interval at which a flush tries again to enter a full queue.
const RETRY: Duration = Duration::from_millis(10);

enum Message {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// The end of the queue that lines are put into.
#[derive(Clone)]
pub struct BackgroundLog {
    queue: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

impl BackgroundLog {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    ///
    /// If the thread cannot be started.
    pub fn start(out: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, messages) = sync_channel(CAPACITY);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        thread::Builder::new().name("visage-log".to_owned()).spawn(move || write_all(&messages, out, &counter))?;
        Ok(Self { queue, dropped })
    }

    /// The number of lines that were dropped so far.
    pub fn dropped(&self) -> &Arc<AtomicU64> {
        &self.dropped
    }

    /// Queues a line, or drops it if the queue is full.
    pub fn line(&self, line: &[u8]) {
        if self.queue.try_send(Message::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all lines so far are written, but at most `limit`.
    pub fn flush(&self, limit: Duration) {
        let end = Instant::now() + limit;
        let (written, done) = sync_channel(1);
        let mut message = Message::Flush(written);
        while let Err(TrySendError::Full(refused)) = self.queue.try_send(message) {
            if Instant::now() >= end {
                return;
            }
            message = refused;
            thread::sleep(RETRY);
        }
        let _ = done.recv_timeout(end.saturating_duration_since(Instant::now()));
    }
}

impl Write for BackgroundLog {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(messages: &Receiver<Message>, mut out: impl Write, dropped: &AtomicU64) {
    let (mut reported, mut works) = (0, true);
    loop {
        let message = match messages.try_recv() {
            Ok(message) => message,
            Err(_) => {
                // Everything is written: the time to say what is missing. This line enters the queue as all others do.
                let lost = dropped.load(Ordering::Relaxed);
                if works && lost > reported {
                    reported = lost;
                    tracing::warn!(
                        lines = lost,
                        "log lines were dropped since the start: they could not be written in time"
                    );
                }
                let Ok(message) = messages.recv() else { return };
                message
            }
        };
        match message {
            Message::Line(line) => {
                works = out.write_all(&line).and_then(|()| out.flush()).is_ok();
                if !works {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            Message::Flush(written) => {
                let _ = written.send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Mutex, PoisonError};

    use super::*;

    type Written = Arc<Mutex<Vec<u8>>>;

    /// Writes each line as soon as it may.
    struct Gate {
        open: Receiver<io::Result<()>>,
        written: Written,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.open.recv().unwrap_or(Ok(()))?;
            self.written.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log() -> (BackgroundLog, Sender<io::Result<()>>, Written) {
        let (opened, open) = channel();
        let written = Written::default();
        (BackgroundLog::start(Gate { open, written: Arc::clone(&written) }).unwrap(), opened, written)
    }

    #[test]
    fn a_stalled_reader_delays_nobody_and_lines_are_dropped_and_counted() {
        let (log, open, written) = log();
        for _ in 0..CAPACITY * 2 {
            log.line(b"x");
        }
        // One line may be on its way to the reader.
        let dropped = log.dropped().load(Ordering::Relaxed);
        assert!((CAPACITY as u64 - 1..=CAPACITY as u64).contains(&dropped), "{dropped}");
        log.flush(Duration::from_millis(20));
        assert!(written.lock().unwrap().is_empty(), "a flush does not wait for ever");
        drop(open);
        log.flush(Duration::from_secs(60));
        assert_eq!(written.lock().unwrap().len() as u64, CAPACITY as u64 * 2 - dropped);
    }

    #[test]
    fn a_line_that_cannot_be_written_is_counted_and_later_ones_are_tried() {
        let (log, open, written) = log();
        for result in [Err(io::ErrorKind::StorageFull.into()), Ok(())] {
            open.send(result).unwrap();
        }
        log.line(b"first");
        log.line(b"second");
        log.flush(Duration::from_secs(60));
        assert_eq!((log.dropped().load(Ordering::Relaxed), &written.lock().unwrap()[..]), (1, &b"second"[..]));
    }
}
