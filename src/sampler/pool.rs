//! Private threads of an open model: made at open, ended and waited for at close, so that a host
//! may unload the library afterwards. A process that was forked has none of them.

use std::thread::JoinHandle;

use crate::{Error, ErrorKind, Result};

/// A thread pool that joins its threads when it is dropped.
pub struct Pool {
    /// There until `drop`.
    pool: Option<rayon::ThreadPool>,
    threads: Vec<JoinHandle<()>>,
    /// The process that has the threads.
    process: u32,
}

impl Pool {
    /// # Errors
    /// `Unsupported` if the system refuses so many threads.
    pub fn new(count: usize) -> Result<Self> {
        let process = std::process::id();
        let mut new = Self { pool: None, threads: Vec::with_capacity(count), process };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .spawn_handler(|thread| {
                let body = || thread.run();
                new.threads.push(std::thread::Builder::new().name("drr".into()).spawn(body)?);
                Ok(())
            })
            .build();
        new.pool = Some(pool.map_err(|error| {
            Error::new(ErrorKind::Unsupported, format!("cannot start {count} threads: {error}"))
        })?);
        Ok(new)
    }

    /// The pool itself; none in a process that was forked from the one that made it.
    pub fn get(&self) -> Option<&rayon::ThreadPool> {
        self.pool.as_ref().filter(|_| std::process::id() == self.process)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if self.get().is_none() {
            // Nobody is there to be told, nor to be waited for.
            std::mem::forget((self.pool.take(), std::mem::take(&mut self.threads)));
            return;
        }
        // Tells the threads to end.
        self.pool = None;
        for thread in self.threads.drain(..) {
            // A panic would have reached the query that caused it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::OnceCell;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    static ENDED: AtomicUsize = AtomicUsize::new(0);

    /// Takes its time when its thread ends.
    struct Slow;

    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(30));
            ENDED.fetch_add(1, Ordering::SeqCst);
        }
    }

    thread_local! {
        static AT_EXIT: OnceCell<Slow> = const { OnceCell::new() };
    }

    #[test]
    fn threads_have_ended_when_the_pool_is_gone() {
        let pool = Pool::new(3).expect("three threads");
        pool.get().expect("alive").broadcast(|_| AT_EXIT.with(|slow| slow.set(Slow).is_ok()));
        drop(pool);
        assert_eq!(ENDED.load(Ordering::SeqCst), 3);
    }
}
