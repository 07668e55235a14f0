//! Clients that know the only right answer to each of their requests, and note every one that does not come.

use std::time::{Duration, Instant};

use super::field::Field;
use super::ledger::{Count, Deadly, Fate, Loss, Open, now};
use super::question::{Kind, LONGEST, Question};
use super::storm::Chance;
use crate::support::{Broken, Client, wait};

/// Between two requests of a witness, in milliseconds, at most: enough that idle connections are about when a blow falls.
const LONGEST_PAUSE: u64 = 12;

/// What a witness does for all its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Small requests of all kinds over a connection that is kept.
    Keeps,
    /// The same, each on a new connection.
    Renews,
    /// Up to a mebibyte down.
    Downloads,
    /// Up to a mebibyte up.
    Uploads,
    /// Answers that come slowly.
    Waits,
    /// Several requests at once.
    Pipelines,
    /// Ends its direction after each request.
    HalfCloses,
    /// Leaves tasks.
    Leaves,
}

impl Habit {
    /// Who comes to a storm.
    pub(super) const COMPANY: [Habit; 11] = [
        Habit::Keeps,
        Habit::Keeps,
        Habit::Keeps,
        Habit::Renews,
        Habit::Renews,
        Habit::Downloads,
        Habit::Uploads,
        Habit::Waits,
        Habit::Pipelines,
        Habit::HalfCloses,
        Habit::Leaves,
    ];

    fn questions(self, field: &Field<'_>, chance: &mut Chance) -> Vec<Question> {
        let largest = LONGEST as u64;
        let (kinds, most): (&[Kind], u64) = match self {
            Habit::Keeps | Habit::Renews | Habit::Pipelines | Habit::HalfCloses => {
                (&[Kind::Whole, Kind::Chunked, Kind::Upload, Kind::UploadChunked], 8192)
            }
            Habit::Downloads => (&[Kind::Whole, Kind::Chunked], largest),
            Habit::Uploads => (&[Kind::Upload, Kind::UploadChunked], largest),
            Habit::Waits => (&[Kind::Slow], 65_536),
            Habit::Leaves => (&[Kind::Leaves], 8192),
        };
        let count = if self == Habit::Pipelines { chance.within(2, 6) } else { 1 };
        let mut ask = || {
            let kind = kinds[chance.within(0, kinds.len() as u64 - 1) as usize];
            // An answer in no pieces at all is an answer with a Content-Length of 0.
            let least = u64::from(kind == Kind::Chunked);
            field.ledger().ask(kind, chance.within(least, most) as usize)
        };
        (0..count).map(|_| ask()).collect()
    }
}

/// A witness's life: until the storm is over.
pub(super) fn live(field: &Field<'_>, habit: Habit, seed: u64) {
    let mut chance = Chance::new(seed);
    while !field.ledger().is_over() {
        let mut connection = Connection::open(field);
        while !field.ledger().is_over() {
            let questions = habit.questions(field, &mut chance);
            let goes_on = connection.ask(&questions, habit == Habit::HalfCloses);
            wait::moment(Instant::now() + Duration::from_millis(chance.within(0, LONGEST_PAUSE)));
            if !goes_on || matches!(habit, Habit::Renews | Habit::HalfCloses) {
                break;
            }
        }
    }
}

/// A connection whose every request is in the books.
pub(super) struct Connection<'a> {
    field: &'a Field<'a>,
    client: Client,
    /// See [`Loss::since`].
    since: Duration,
    /// When it was made.
    others: Count,
    _open: Open<'a>,
}

impl<'a> Connection<'a> {
    /// A new one. The listener belongs to all processes, so nobody is ever refused.
    pub(super) fn open(field: &'a Field<'a>) -> Connection<'a> {
        let (since, others) = (now(), field.ledger().count());
        let open = field.ledger().open();
        let client = Client::connect(field.server().address()).expect("no connection is refused");
        Connection { field, client, since, others, _open: open }
    }

    /// Asks, all at once, and waits for the answers. False when the connection has ended.
    pub(super) fn ask(&mut self, questions: &[Question], finish: bool) -> bool {
        let sent_at = now();
        if !self.send(questions, finish) {
            return false;
        }
        self.hear(questions, sent_at)
    }

    /// Sends requests. False when the connection has ended.
    pub(super) fn send(&mut self, questions: &[Question], finish: bool) -> bool {
        let bytes: Vec<u8> = questions.iter().flat_map(Question::bytes).collect();
        if self.client.try_send(&bytes).is_err() {
            // A reset takes with it what was answered and not read.
            self.lose(questions, None, Broken::Nothing);
            return false;
        }
        if finish {
            self.client.finish();
        }
        true
    }

    /// Waits for the answers to what was sent at `sent_at`. False when the connection has ended.
    pub(super) fn hear(&mut self, questions: &[Question], sent_at: Duration) -> bool {
        for (index, question) in questions.iter().enumerate() {
            let mut pid = None;
            match self.hear_one(question, &mut pid) {
                Ok(closes) => {
                    let fate = if question.is_over_its_time() { Fate::TimedOut } else { Fate::Whole };
                    self.field.ledger().settle(question.number, fate);
                    self.since = sent_at;
                    if closes {
                        for unheard in &questions[index + 1..] {
                            self.field.ledger().settle(unheard.number, Fate::Returned);
                        }
                        return false;
                    }
                }
                Err(Broken::Silence) => panic!("{question:?} is not answered; {pid:?} had begun to"),
                Err(broken) => {
                    self.lose(&questions[index..], pid, broken);
                    return false;
                }
            }
        }
        true
    }

    fn hear_one(&mut self, question: &Question, pid: &mut Option<i32>) -> Result<bool, Broken> {
        let head = self.client.try_head()?;
        question.judge_head(&head);
        *pid = head.header("X-Pid").map(|pid| pid.parse().expect("a number"));
        let body = self.client.body_of(&head)?;
        question.judge_body(&body);
        Ok(head.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close")))
    }

    fn lose(&self, questions: &[Question], pid: Option<i32>, broken: Broken) {
        let ledger = self.field.ledger();
        match questions {
            [question] if question.kind.is_deadly() => ledger.end_deadly(Deadly {
                number: question.number,
                ended: now(),
                connections: ledger.open_since(self.others),
            }),
            [question] if question.is_to_be_cut() => ledger.settle(question.number, Fate::CutAsAsked),
            _ => ledger.lose(Loss {
                numbers: questions.iter().map(|question| question.number).collect(),
                pid,
                since: self.since,
                at: now(),
                broken,
            }),
        }
    }

    /// Leaves in the middle of the answer: after its head, with a reset or without.
    pub(super) fn leave(mut self, question: &Question, reset: bool) {
        let sent = self.client.try_send(&question.bytes());
        let head = sent.map_err(|_| Broken::Nothing).and_then(|()| self.client.try_head());
        if let Ok(head) = head {
            question.judge_head(&head);
        }
        self.field.ledger().settle(question.number, Fate::Left);
        if reset {
            self.client.reset();
        }
    }
}
