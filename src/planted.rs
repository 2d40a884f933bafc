//! Bugs to be planted on purpose, so that tests can show that they find them. Only with the feature `planted`, which
//! no release is built with: without it `planted!` is its right side or `false`, and this file is only that macro.
//!
//! `tests/simulation/planted.rs` plants each and says what finds it. Never a place for behaviour that anybody wants.

#[cfg(feature = "planted")]
pub use catalogue::{ALL, Bug, plant};
#[cfg(feature = "planted")]
pub(crate) use catalogue::{is_planted, is_unguarded};

/// `planted!(Bug)`: whether that bug is planted. `planted!(Bug => wrong, else right)`: the wrong value where it is.
/// `planted!()`: whether a bug is planted that no invariant is to find.
#[cfg(feature = "planted")]
macro_rules! planted {
    () => {
        $crate::planted::is_unguarded()
    };
    ($bug:ident) => {
        $crate::planted::is_planted($crate::planted::Bug::$bug)
    };
    ($bug:ident => $wrong:expr, else $right:expr) => {
        if planted!($bug) { $wrong } else { $right }
    };
}

#[cfg(not(feature = "planted"))]
macro_rules! planted {
    () => {
        false
    };
    ($bug:ident) => {
        false
    };
    ($bug:ident => $wrong:expr, else $right:expr) => {
        $right
    };
}

#[cfg(feature = "planted")]
mod catalogue {
    use std::cell::Cell;

    macro_rules! bugs {
        ($($(#[doc = $what:literal])+ $bug:ident,)+) => {
            /// A bug that can be planted.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum Bug {
                $($(#[doc = $what])+ $bug,)+
            }

            /// Every bug.
            pub const ALL: &[Bug] = &[$(Bug::$bug,)+];

            impl Bug {
                /// What is wrong with it planted.
                pub fn what(self) -> &'static str {
                    match self {
                        $(Self::$bug => concat!($($what),+).trim_ascii(),)+
                    }
                }
            }
        };
    }

    bugs! {
        /// an operation is given up while its gate is open
        GateLeftOpen,
        /// an operation counts as ended when its own build has, whatever passed the gate
        GateIgnored,
        /// an operation past its gate is given up when it is not wanted any more
        SettledWhileRunning,
        /// no slot is claimed
        SlotNotClaimed,
        /// no names are claimed
        NamesNotClaimed,
        /// the claims of others are ignored until the write fails
        ClaimsNotHeeded,
        /// claims are kept after a destroy
        ClaimsKept,
        /// a suspended app gives back its slot
        SlotFreedBySuspending,
        /// memory is written without its version as a condition
        VersionIgnored,
        /// the id of the last operation, which is its token, is used for the next
        TokenReused,
        /// the request is sent again after its token expired
        TokenExpiryIgnored,
        /// what could not be read counts as absent
        UnreadIsAbsent,
        /// a build that CodeBuild does not know counts as ended
        UnknownBuildIsOver,
        /// a service that is draining counts as gone
        DrainingIgnored,
        /// absence is believed at the first look
        AbsenceBelievedAtOnce,
        /// a destroy is believed, and claims are given back, before anybody looked
        DestroyNotVerified,
        /// what survived a destroy is ignored
        SurvivorIgnored,
        /// a deployment that failed half-way is not remembered
        HalfDeploymentForgotten,
        /// a destroy that failed is not tried again
        DestroyNotRetried,
        /// failures put nothing off
        BackoffForgotten,
        /// a lack of room at CodeBuild is the app's failure
        CapacityIsFailure,
        /// the time is rounded up to the full hour
        NowRounded,
        /// the end of the day is forgotten
        CurfewForgotten,
        /// a request at the very end of a day counts as before it
        BoundaryIsBefore,
        /// a request may be dated into the future
        FutureBelieved,
        /// an exemption is ignored
        KeepIgnored,
        /// an exemption undoes a stop that fell due before it
        StopUndone,
        /// an exemption puts off an expiry too
        ExemptionBeatsExpiry,
        /// an exemption that has lapsed holds for half a day more
        LapsedExemptionHolds,
        /// an exemption that is given may reach as far as anybody likes
        GivenWithoutEnd,
        /// the hours of a user's week are not counted
        WeekNotCounted,
        /// a deadline is told again and again
        WarnedTwice,
        /// who was warned once is not warned of a deadline that moved
        WarnedOnceForAll,
        /// the end of the day is told, though an exemption has put it off
        MovedStopTold,
        /// a stop is told as soon as it is known
        WarnedEarly,
        /// an expiry is ignored
        ExpiryIgnored,
        /// where the end of the day suspends, it destroys
        NapDestroys,
        /// a schedule wakes nothing
        WakeIgnored,
        /// days off are like any other
        DaysOffIgnored,
        /// a request is not held while its schedule is closed
        ClosingIgnored,
        /// what is suspended stays so, however many nights nobody asks for it
        NightsNotCounted,
        /// nights in which an exemption held count as nights unused
        ExemptNightsCounted,
        /// an owner who is not active any more is ignored
        OwnerIgnored,
        /// a row that is gone is acted on at once
        DeletionUnconfirmed,
        /// a mass deletion is not held
        HoldIgnored,
        /// a pause is ignored
        PauseIgnored,
        /// what was refused for too long begins by itself
        RefusalForgotten,
        /// a made-up host name is made up again after a failure
        HostRenamed,
        /// a row that is invalid ends the sweep
        PoisonEndsSweep,
        /// Ready is said without asking the app
        ReadyWithoutAnswer,
        /// Ready is said because it was said before
        StatusBelieved,
        /// a number of tasks that somebody changed is left
        DriftIgnored,
        /// a target group that serves nothing is left
        RouteLossIgnored,
        /// a lease is its owner's for ever
        LeaseForEver,
        /// history that knows more than the state table is not asked
        HistoryIgnored,
        /// a listing or a scan ends with its first page
        FirstPageOnly,
    }

    /// What is wrong on this thread.
    #[derive(Clone, Copy)]
    struct Planted {
        bug: Option<Bug>,
        invariants: bool,
    }

    thread_local! {
        static PLANTED: Cell<Planted> = Cell::new(Planted { bug: told(), invariants: true });
    }

    /// The bug that `PLANTED_BUG` names, so that any test can be run with any bug.
    fn told() -> Option<Bug> {
        let name = std::env::var("PLANTED_BUG").ok()?;
        let known = ALL.iter().find(|bug| format!("{bug:?}") == name);
        Some(*known.unwrap_or_else(|| panic!("PLANTED_BUG={name} is no bug that can be planted")))
    }

    /// Plants a bug in what runs on this thread, or none. `invariants`: whether plans are still held against
    /// `planner::invariants`, or whatever judges their effects has to find it alone.
    pub fn plant(bug: Option<Bug>, invariants: bool) {
        PLANTED.set(Planted { bug, invariants });
    }

    pub(crate) fn is_planted(bug: Bug) -> bool {
        PLANTED.get().bug == Some(bug)
    }

    /// Whether a bug is planted that no invariant is to find.
    pub(crate) fn is_unguarded() -> bool {
        PLANTED.get().bug.is_some() && !PLANTED.get().invariants
    }
}
