//! The program as its users meet it: every verb, what it prints, writes and answers to mistakes.

mod audit;
mod bench;
mod calibrate;
mod card;
mod compare;
mod data;
mod demo;
mod devices;
mod evaluate;
mod explain;
mod export;
mod fixture;
mod guide;
mod mistakes;
mod predict;
mod recipes;
mod report;
mod resume;
mod serve;
mod training;
mod weights;
