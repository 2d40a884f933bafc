//! How builds go wrong in simulations and soaks. Drawn from the dice of the binary that includes it.

use simcloud::{Behaviour, Phase};

use crate::dice::Dice;

/// One of the ways in which a build may go wrong.
pub(crate) fn behaviour(dice: &mut Dice) -> Behaviour {
    match dice.between(0, 12) {
        0 | 1 => Behaviour::fail_before_applying(),
        2 | 3 => Behaviour::fail_after_applying(),
        4 => Behaviour::hang_in(dice.pick(&[Phase::Provisioning, Phase::PreBuild, Phase::Build])),
        5 => Behaviour::Hang {
            phase: Phase::Build,
            after_applying: true,
        },
        6 => Behaviour::Fault(dice.pick(&[Phase::Provisioning, Phase::PreBuild, Phase::Build])),
        7 => Behaviour::ClientError,
        8 => Behaviour::GateUnreachable,
        9 => Behaviour::GateAnswerLost,
        10 => Behaviour::LeavesNothing,
        11 => Behaviour::LeavesService,
        _ => Behaviour::Slow(2.5),
    }
}
