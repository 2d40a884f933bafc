//! The three tables: what the portal wants, what we remember, what happened. Every read here is consistent,
//! and every write of memory is conditional on the version it was read with.
//!
//! `item` knows how our values look as items, `desired` and `state` carry out the traits, `write` is the
//! one way memory changes, with gate and claims (`actions` has the parts), `bids`, `keeps` and `leases` are
//! about those alone, `export` reads rows from a file, and `tables` creates what is missing.

use crate::cloud::aws::Clients;

mod actions;
mod bids;
mod desired;
pub mod export;
mod history;
mod item;
mod keeps;
mod leases;
mod state;
mod tables;
mod write;

pub use tables::{Found, TableReport, create_tables};

/// The names of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// What the portal wants. The portal writes it.
    pub desired: String,
    /// What we remember, gates and claims. Only we write it, save for the gates.
    pub state: String,
    /// What happened. Only we write it.
    pub events: String,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            desired: "lamplighter-desired".to_owned(),
            state: "lamplighter-state".to_owned(),
            events: "lamplighter-events".to_owned(),
        }
    }
}

/// [`crate::cloud::DesiredStore`] and [`crate::cloud::StateStore`] over DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoDb {
    client: aws_sdk_dynamodb::Client,
    tables: Tables,
}

impl DynamoDb {
    /// The stores in these tables.
    pub fn new(clients: &Clients, tables: Tables) -> Self {
        Self {
            client: clients.dynamodb.clone(),
            tables,
        }
    }
}
