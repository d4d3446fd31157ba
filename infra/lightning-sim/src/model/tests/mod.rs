mod faults;
mod pay;
mod receive;
mod replay;
