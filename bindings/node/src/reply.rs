//! What a store answers: from memory at once, else later.

use napi::bindgen_prelude::Either4;
use napi_derive::napi;
use reqbus_core::error::Result;
use reqbus_core::slots::{Holder, Load, Reply};

use crate::failure::OrThrow;
use crate::looping::{NativeLoop, ringing};
use crate::slot_stats::{NativeHolder, NativeLoad};

/// A question whose answer has yet to come.
#[napi]
pub struct NativeReply {
    question: Question,
}

/// What was asked.
pub enum Question {
    /// A change.
    Change(Reply<()>),
    /// Whether something was so.
    Flag(Reply<bool>),
    /// How keys stand.
    Loads(Reply<Vec<Load>>),
    /// Who holds slots.
    Holders(Reply<Vec<Holder>>),
}

/// An answer, `true` for a change that was made, or what to wait for.
pub type Answer = Either4<bool, Vec<NativeLoad>, Vec<NativeHolder>, NativeReply>;

impl Question {
    fn try_take(&mut self) -> Option<Result<Answer>> {
        Some(match self {
            Self::Change(reply) => reply.try_take()?.map(|()| Either4::A(true)),
            Self::Flag(reply) => reply.try_take()?.map(Either4::A),
            Self::Loads(reply) => reply
                .try_take()?
                .map(|loads| Either4::B(loads.iter().map(NativeLoad::of).collect())),
            Self::Holders(reply) => reply
                .try_take()?
                .map(|holders| Either4::C(holders.iter().map(NativeHolder::of).collect())),
        })
    }

    /// The answer, if it is there, else what to wait for.
    pub fn ask(mut self) -> napi::Result<Answer> {
        match self.try_take() {
            Some(answer) => answer.or_throw(),
            None => Ok(Either4::D(NativeReply { question: self })),
        }
    }
}

#[napi]
impl NativeReply {
    /// The answer, once; `null` while it has yet to come.
    #[napi]
    pub fn try_take(&mut self) -> napi::Result<Option<Answer>> {
        self.question.try_take().transpose().or_throw()
    }

    /// Rings under `token` when it is there. Whether this thread must drain.
    #[napi]
    pub fn attach(&self, rings: &NativeLoop, token: f64) -> bool {
        let (bell, token) = (rings.bell(), token as u64);
        let attach = || match &self.question {
            Question::Change(reply) => reply.attach(bell, token),
            Question::Flag(reply) => reply.attach(bell, token),
            Question::Loads(reply) => reply.attach(bell, token),
            Question::Holders(reply) => reply.attach(bell, token),
        };
        ringing(attach).1
    }
}
