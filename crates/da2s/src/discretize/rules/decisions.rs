//! The decisions of the rule `perturbation`: what is decided, and what is decided next.
//!
//! Reference: Wang et al. 2021, algorithm 1. Contract: the operations of every edge come first,
//! then the edges of every node, each in order and one kind of cell after the other. A choice that
//! keeps all of its candidates needs no decision and is settled as soon as its turn comes. In a
//! settled choice the kept candidates share the weight evenly; choices that are not settled have
//! the weights of the search.

use super::measured::{Choice, Quality, genotype_of};
use crate::discretize::strengths::KindStrengths;
use crate::space::{CellKind, Genotype, PerKind, Space, Target};

/// The decisions so far. The caller that gets an [`open`](Self::open) question must answer it.
#[derive(Clone, Debug)]
pub(crate) struct Decisions<'a> {
    space: &'a Space,
    /// The mixture with all that is decided.
    strengths: PerKind<KindStrengths>,
    questions: Vec<Question>,
    /// What is kept, for each question that is settled.
    kept: Vec<Vec<usize>>,
}

/// A choice in cells of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    kind: CellKind,
    choice: Choice,
    /// Indices into the weights of the choice.
    candidates: Vec<usize>,
    /// How many of them are kept.
    count: usize,
}

impl Question {
    /// Whether a candidate has to be left out.
    fn is_open(&self) -> bool {
        self.count < self.candidates.len()
    }

    /// Whether `kept` answers it: exactly `count` different candidates.
    pub fn takes(&self, kept: &[usize]) -> bool {
        let is_new = |(at, one): (usize, &usize)| self.candidates.contains(one) && !kept[..at].contains(one);
        kept.len() == self.count && kept.iter().enumerate().all(is_new)
    }
}

impl<'a> Decisions<'a> {
    /// No decisions yet, except the choices at the start that need none.
    pub fn new(strengths: PerKind<KindStrengths>, space: &'a Space, target: &Target) -> Self {
        let graph = space.graph;
        let operations = space.kinds().iter().flat_map(|&kind| {
            let strengths = strengths.kind(kind);
            (0..graph.edge_count()).map(move |edge| Question {
                kind,
                choice: Choice::Operations(edge),
                candidates: strengths.may_stay(edge, space),
                count: target.kind(kind).operations,
            })
        });
        let edges = space.kinds().iter().flat_map(|&kind| {
            let strengths = strengths.kind(kind);
            graph.groups().map(move |group| {
                let of_group = graph.edges_of(group);
                let remaining = strengths.remaining(of_group.clone()).into_iter();
                Question {
                    kind,
                    candidates: remaining.map(|edge| edge - of_group.start).collect(),
                    choice: Choice::Edges(of_group),
                    count: target.kind(kind).kept(group),
                }
            })
        });
        let questions = operations.chain(edges).collect();
        let mut decisions = Self {
            space,
            strengths,
            questions,
            kept: Vec::new(),
        };
        decisions.settle_forced();
        decisions
    }

    /// The mixture with all that is decided.
    pub fn strengths(&self) -> &PerKind<KindStrengths> {
        &self.strengths
    }

    /// The next question that needs a decision; `None` if all is decided.
    pub fn open(&self) -> Option<&Question> {
        self.questions.get(self.kept.len())
    }

    /// Number of questions that need a decision, and of those that are decided.
    pub fn counts(&self) -> [usize; 2] {
        let decided = &self.questions[..self.kept.len()];
        [&self.questions[..], decided].map(|some| some.iter().filter(|question| question.is_open()).count())
    }

    /// The candidates of `question` to keep: those whose absence costs most, in that order.
    /// `measure` returns the quality of the super-network under a mixture.
    pub fn answer<E>(
        &self,
        question: &Question,
        measure: &impl Fn(&PerKind<KindStrengths>) -> Result<Quality, E>,
    ) -> Result<Vec<usize>, E> {
        let mut stay: Vec<(usize, Quality)> = Vec::with_capacity(question.candidates.len());
        for &candidate in &question.candidates {
            let mut without = self.strengths.clone();
            let quality = if question.choice.leave_out(without.kind_mut(question.kind), candidate) {
                measure(&without)?
            } else {
                Quality::NONE
            };
            stay.push((candidate, quality));
        }
        stay.sort_by(|(_, a), (_, b)| a.order(b));
        stay.truncate(question.count);
        Ok(stay.into_iter().map(|(candidate, _)| candidate).collect())
    }

    /// Settles the open question: its candidates `kept` share the weight evenly.
    pub fn settle(&mut self, kept: Vec<usize>) {
        self.keep(kept);
        self.settle_forced();
    }

    fn settle_forced(&mut self) {
        while let Some(question) = self.open().filter(|question| !question.is_open()) {
            let all = question.candidates.clone();
            self.keep(all);
        }
    }

    fn keep(&mut self, kept: Vec<usize>) {
        if let Some(Question { kind, choice, .. }) = self.questions.get(self.kept.len()) {
            choice.keep(self.strengths.kind_mut(*kind), &kept);
            self.kept.push(kept);
        }
    }

    /// The last question that needed a decision, in words: the kind of cell, the edge or edges of
    /// the choice, and what is kept.
    pub fn last_in_words(&self) -> Option<(String, String, Vec<String>)> {
        let mut settled = self.questions.iter().zip(&self.kept);
        let (question, kept) = settled.rfind(|(question, _)| question.is_open())?;
        let ends: Vec<(usize, usize)> = self.space.graph.edges().collect();
        let edge = |edge: usize| format!("{}→{}", ends[edge].0, ends[edge].1);
        let (choice, kept) = match &question.choice {
            Choice::Operations(own) => {
                let operations = kept.iter().map(|&at| self.space.operations[at].name().to_owned());
                (edge(*own), operations.collect())
            }
            Choice::Edges(edges) => {
                let names: Vec<String> = edges.clone().map(edge).collect();
                (names.join(" "), kept.iter().map(|&at| names[at].clone()).collect())
            }
        };
        Some((question.kind.name().to_owned(), choice, kept))
    }

    /// The genotype of all decisions.
    pub fn genotype(&self) -> Genotype {
        let kinds = self.space.kinds();
        let mut operations = PerKind::new(kinds, |_| vec![Vec::new(); self.space.graph.edge_count()]);
        let mut edges = PerKind::new(kinds, |_| Vec::new());
        for (question, kept) in self.questions.iter().zip(&self.kept) {
            match &question.choice {
                Choice::Operations(edge) => operations.kind_mut(question.kind)[*edge] = kept.clone(),
                Choice::Edges(of_group) => {
                    let kept = kept.iter().map(|index| of_group.start + index);
                    edges.kind_mut(question.kind).extend(kept);
                }
            }
        }
        genotype_of(self.space, &operations, &edges)
    }
}
