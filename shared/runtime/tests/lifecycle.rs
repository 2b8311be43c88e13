//! What a process ends with, and when.

use std::{convert::Infallible, io, process::ExitCode, time::Duration};

use configapi_runtime::shutdown::{Exit, Lifecycle};

use super::support::soon;

#[tokio::test]
async fn a_life_that_was_asked_to_end_ends_clean() {
    let life = Lifecycle::default();
    let soft = life.soft().clone();
    life.spawn_critical("server", async move {
        soft.cancelled().await;
        Ok::<(), Infallible>(())
    });
    life.begin_shutdown("the test says so");
    assert_eq!(soon(life.finish()).await, Exit::Clean);
}

#[tokio::test]
async fn a_critical_task_that_panics_ends_the_life() {
    let life = Lifecycle::default();
    life.spawn_critical("server", panics());
    assert_eq!(soon(life.finish()).await, Exit::Died);
}

#[tokio::test]
async fn a_critical_task_that_fails_ends_the_life() {
    let life = Lifecycle::default();
    life.spawn_critical("server", async { Err(io::Error::other("no such disk")) });
    assert_eq!(soon(life.finish()).await, Exit::Died);
}

#[tokio::test]
async fn a_critical_task_that_returns_unasked_ends_the_life() {
    let life = Lifecycle::default();
    life.spawn_critical("server", async { Ok::<(), Infallible>(()) });
    assert_eq!(soon(life.finish()).await, Exit::Died);
}

#[tokio::test]
async fn the_other_tasks_are_drained_when_a_critical_one_dies() {
    let life = Lifecycle::default();
    let soft = life.soft().clone();
    let (told, heard) = tokio::sync::oneshot::channel();
    life.spawn(async move {
        soft.cancelled().await;
        told.send("finished in order").expect("somebody listens");
    });
    life.spawn_critical("server", async { Err(io::Error::other("no such disk")) });
    assert_eq!(soon(life.finish()).await, Exit::Died);
    assert_eq!(soon(heard).await, Ok("finished in order"));
}

#[tokio::test]
async fn a_task_that_does_not_end_is_dropped_when_the_drain_limit_is_over() {
    let life = Lifecycle::new(Duration::from_millis(20));
    life.spawn(std::future::pending());
    life.begin_shutdown("the test says so");
    assert_eq!(soon(life.finish()).await, Exit::CutOff);
}

#[test]
fn only_a_clean_end_is_a_success() {
    assert_eq!(ExitCode::from(Exit::Clean), ExitCode::SUCCESS);
    assert_ne!(ExitCode::from(Exit::CutOff), ExitCode::SUCCESS);
    assert_ne!(ExitCode::from(Exit::Died), ExitCode::SUCCESS);
}

async fn panics() -> Result<(), Infallible> {
    tokio::task::yield_now().await;
    panic!("asked to")
}
