//! The program as its users meet it: every verb, what it prints, writes and answers to mistakes.

mod audit;
mod bench;
mod calibrate;
mod card;
mod compare;
mod data;
mod demo;
mod evaluate;
mod explain;
mod export;
mod fixture;
mod mistakes;
mod predict;
mod recipes;
mod report;
mod resume;
mod training;
mod weights;
