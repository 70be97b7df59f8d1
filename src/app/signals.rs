//! The signals that a process gets: SIGTERM and SIGINT stop it, SIGHUP reloads.

use std::io;

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

/// The signals that stop us.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    /// From here on none of them ends the process by itself.
    pub(super) fn receive() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: Some(signal(SignalKind::hangup())?),
        })
    }

    /// Waits for the next wish to stop.
    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Wishes for a reload.
    pub(super) fn reload(&mut self) -> mpsc::Receiver<()> {
        let (wish, wishes) = mpsc::channel(1);
        if let Some(mut hang_up) = self.hang_up.take() {
            tokio::spawn(async move {
                while hang_up.recv().await.is_some() {
                    // One that waits already stands for all.
                    let _ = wish.try_send(());
                }
            });
        }
        wishes
    }
}
