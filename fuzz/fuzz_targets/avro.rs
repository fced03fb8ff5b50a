#![no_main]
headwater_fuzz::format_target!("avro");
