//! Tests of the program: the output, the files and the errors of every verb.

mod audit;
mod bench;
mod calibrate;
mod card;
mod compare;
mod damage;
mod data;
mod demo;
mod devices;
mod evaluate;
mod explain;
mod export;
mod faces;
mod fixture;
mod guide;
mod images;
mod manual;
mod mistakes;
mod predict;
mod recipes;
mod report;
mod resume;
mod serve;
mod tables;
mod training;
mod weights;
