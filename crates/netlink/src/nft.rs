//! nf_tables: tables, chains, rules, sets and maps.
