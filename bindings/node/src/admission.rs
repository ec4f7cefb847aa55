//! Which checks may begin. JavaScript runs them itself.

use napi_derive::napi;
use reqbus_core::runner::{Admission, Due, InFlight, RunnerOptions, RunnerStats};

use crate::failure::OrThrow;
use crate::looping::ringing;
use crate::permit::NativePermit;
use crate::teller::NativeTeller;
use crate::whole::{Whole, ms, to_duration, to_size, to_u32, to_u64};

/// Options of an admission; what is left out has the library's default.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeRunnerOptions {
    /// From the beginning of one round to that of the next.
    pub every_ms: Option<f64>,
    /// How many checks run at once.
    pub at_once: Option<Whole>,
    /// After how long a check is stuck.
    pub limit_ms: Option<f64>,
    /// Within what time of the beginning the first round begins.
    pub jitter_ms: Option<f64>,
    /// What the jitter is drawn from.
    pub seed: Option<Whole>,
}

impl NativeRunnerOptions {
    pub(crate) fn to_core(&self) -> napi::Result<RunnerOptions> {
        let mut options = RunnerOptions::default();
        for (time_ms, context, place) in [
            (self.every_ms, "every", &mut options.every),
            (self.limit_ms, "limit", &mut options.limit),
            (self.jitter_ms, "jitter", &mut options.jitter),
        ] {
            if let Some(time_ms) = time_ms {
                *place = to_duration(time_ms, context).or_throw()?;
            }
        }
        if let Some(at_once) = &self.at_once {
            options.at_once = to_u32(at_once, "at_once").or_throw()?;
        }
        if let Some(seed) = &self.seed {
            options.seed = Some(to_u64(seed, "seed").or_throw()?);
        }
        Ok(options)
    }
}

/// A check that is under way.
#[napi(object, object_from_js = false)]
pub struct NativeInFlight {
    /// What is being checked.
    pub id: String,
    /// For how long.
    pub age_ms: f64,
    /// Whether it is over its time.
    pub is_stuck: bool,
}

impl NativeInFlight {
    fn of(flight: &InFlight) -> Self {
        Self {
            id: flight.id.to_string(),
            age_ms: ms(flight.age),
            is_stuck: flight.is_stuck,
        }
    }
}

/// What was counted.
#[napi(object, object_from_js = false)]
pub struct NativeRunnerStats {
    /// Rounds.
    pub rounds: u64,
    /// Of these, without a list.
    pub failed_rounds: u64,
    /// Of these, passed over.
    pub paused_rounds: u64,
    /// Checks that were begun.
    pub run: u64,
    /// Checks that ended well.
    pub succeeded: u64,
    /// Checks that failed.
    pub failed: u64,
    /// Checks that broke down.
    pub panicked: u64,
    /// Checks that were over their time.
    pub stuck: u64,
    /// Items that were being checked.
    pub skipped_busy: u64,
    /// Items that found no room.
    pub skipped_full: u64,
    /// Checks that were begun a round too late.
    pub late: u64,
}

impl NativeRunnerStats {
    fn of(stats: &RunnerStats) -> Self {
        Self {
            rounds: stats.rounds,
            failed_rounds: stats.failed_rounds,
            paused_rounds: stats.paused_rounds,
            run: stats.run,
            succeeded: stats.succeeded,
            failed: stats.failed,
            panicked: stats.panicked,
            stuck: stats.stuck,
            skipped_busy: stats.skipped_busy,
            skipped_full: stats.skipped_full,
            late: stats.late,
        }
    }
}

/// An admission.
#[napi]
pub struct NativeAdmission {
    admission: Admission,
}

impl NativeAdmission {
    pub(crate) fn make(
        mut options: RunnerOptions,
        teller: Option<&NativeTeller>,
    ) -> napi::Result<Self> {
        if let Some(teller) = teller {
            options.observer = Some(teller.shared());
        }
        let admission = Admission::new(options).or_throw()?;
        Ok(Self { admission })
    }
}

#[napi]
impl NativeAdmission {
    /// An admission, whose ends of checks the teller hears of.
    #[napi(constructor)]
    pub fn new(options: NativeRunnerOptions, teller: Option<&NativeTeller>) -> napi::Result<Self> {
        Self::make(options.to_core()?, teller)
    }

    /// How long until the next round, in milliseconds.
    #[napi]
    pub fn until_next_round(&self) -> f64 {
        ms(self.admission.until_next_round())
    }

    /// Begins a round: permits for those of the items that may be checked now.
    #[napi]
    pub fn admit(
        &self,
        ids: Vec<String>,
        overdue_ms: Vec<f64>,
        most: Option<Whole>,
    ) -> napi::Result<Vec<NativePermit>> {
        let due = ids.iter().zip(overdue_ms).map(|(id, overdue_ms)| {
            let overdue = to_duration(overdue_ms, "overdue")?;
            Ok(Due { id, overdue })
        });
        let due = due
            .collect::<reqbus_core::error::Result<Vec<_>>>()
            .or_throw()?;
        let most = match &most {
            Some(most) => to_size(most, "at_most").or_throw()?,
            None => usize::MAX,
        };
        let permits = self.admission.admit_at_most(&due, most).or_throw()?;
        Ok(permits.into_iter().map(NativePermit::new).collect())
    }

    /// Notes a round in which it could not be said what is due.
    #[napi]
    pub fn fail_round(&self) {
        self.admission.fail_round();
    }

    /// Pauses, or goes on.
    #[napi]
    pub fn pause(&self, paused: bool) {
        self.admission.pause(paused);
    }

    /// Whether it is paused.
    #[napi]
    pub fn is_paused(&self) -> bool {
        self.admission.is_paused()
    }

    /// No check begins any more. Whether this thread must drain.
    #[napi]
    pub fn stop(&self) -> bool {
        ringing(|| self.admission.stop()).1
    }

    /// What is being checked now, oldest first.
    #[napi]
    pub fn in_flight(&self) -> Vec<NativeInFlight> {
        let flights = self.admission.in_flight();
        flights.iter().map(NativeInFlight::of).collect()
    }

    /// What was counted.
    #[napi]
    pub fn stats(&self) -> NativeRunnerStats {
        NativeRunnerStats::of(&self.admission.stats())
    }
}
