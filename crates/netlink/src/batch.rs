//! Many messages in one datagram.

use crate::error::Error;
use crate::message::{HEADER, Writer, flags};

/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END` of linux/netfilter/nfnetlink.h.
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;
/// `NFNL_SUBSYS_NFTABLES`, whose transactions these are.
const NFTABLES: u16 = 10;
/// `NFNL_BATCH_GENID`.
const GENERATION: u16 = 1;

/// Messages that go out together; see [`Socket::batch`](crate::socket::Socket::batch).
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each message begins, the begin of a transaction included.
    starts: Vec<usize>,
    is_transaction: bool,
    too_long: Option<usize>,
}

impl Batch {
    /// Messages that each stand for themselves, as rtnetlink has them.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Messages of which nf_tables does all or none; with a generation (of `NFT_MSG_GETGEN`), only while the rules are
    /// still the ones of that generation, else ERESTART (Linux 4.9).
    #[must_use]
    pub fn transaction(generation: Option<u32>) -> Self {
        let mut begin = Writer::new(BEGIN, 0);
        begin.header(&nfgenmsg());
        if let Some(generation) = generation {
            begin.be32(GENERATION, generation);
        }
        let mut batch = Self::new();
        batch.append(begin);
        batch.is_transaction = true;
        batch
    }

    /// Adds a message behind the others.
    pub fn push(&mut self, message: Writer) {
        if message.is_too_long() {
            self.too_long.get_or_insert(self.len());
        }
        self.append(message);
    }

    /// How many messages it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - usize::from(self.is_transaction)
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bytes it has grown to: the kernel takes some megabytes at once.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    fn append(&mut self, mut message: Writer) {
        self.starts.push(self.bytes.len());
        self.bytes.extend_from_slice(message.bytes());
    }

    /// Ready to be numbered and sent; `None` when there is nothing in it.
    pub(crate) fn finish(mut self) -> Result<Option<Outgoing>, Error> {
        if let Some(index) = self.too_long {
            return Err(Error::TooLong { index });
        }
        if self.is_empty() {
            return Ok(None);
        }
        // Errors always come; of the successes only the last one is worth an answer.
        let last = self.starts.len() - 1;
        let start = self.starts[last];
        add_flags(&mut self.bytes[start..], flags::ACK);
        if self.is_transaction {
            let mut end = Writer::new(END, 0);
            end.header(&nfgenmsg());
            self.append(end);
        }
        Ok(Some(Outgoing {
            batch: self,
            first: 0,
            last,
        }))
    }
}

/// A batch on its way out.
pub(crate) struct Outgoing {
    batch: Batch,
    /// The sequence number of the first message.
    first: u32,
    /// The position of the message that is acknowledged.
    last: usize,
}

impl Outgoing {
    /// How many sequence numbers it needs.
    pub(crate) fn count(&self) -> usize {
        self.batch.starts.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.batch.bytes
    }

    /// Numbers the messages, so that answers find them.
    pub(crate) fn number(&mut self, first: u32) {
        self.first = first;
        for (position, start) in self.batch.starts.iter().enumerate() {
            let sequence = first + position as u32;
            self.batch.bytes[start + 8..start + 12].copy_from_slice(&sequence.to_ne_bytes());
        }
    }

    /// A single request that is answered by something other than an acknowledgement.
    pub(crate) fn set_flags(&mut self, more: u16) {
        let at = &mut self.batch.bytes[6..8];
        let old = u16::from_ne_bytes([at[0], at[1]]);
        at.copy_from_slice(&((old & !flags::ACK) | more).to_ne_bytes());
    }

    pub(crate) fn last_sequence(&self) -> u32 {
        self.first + self.last as u32
    }

    /// Which message of the batch, from 0, has this sequence number. The head of a transaction counts as message 0.
    pub(crate) fn position(&self, sequence: u32) -> Option<usize> {
        let position = sequence.checked_sub(self.first)? as usize;
        let head = usize::from(self.batch.is_transaction);
        (position < self.count()).then(|| position.saturating_sub(head))
    }
}

fn add_flags(message: &mut [u8], more: u16) {
    debug_assert!(message.len() >= HEADER);
    let old = u16::from_ne_bytes([message[6], message[7]]);
    message[6..8].copy_from_slice(&(old | more).to_ne_bytes());
}

/// `struct nfgenmsg`: family, version, and the subsystem in network order.
fn nfgenmsg() -> [u8; 4] {
    let [high, low] = NFTABLES.to_be_bytes();
    [0, 0, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Messages;

    fn message(kind: u16) -> Writer {
        let mut writer = Writer::new(kind, 0);
        writer.header(&[0; 4]);
        writer
    }

    #[test]
    fn only_the_last_message_asks_for_an_answer() {
        let mut batch = Batch::transaction(Some(7));
        batch.push(message(20));
        batch.push(message(21));
        let mut outgoing = batch.finish().expect("short").expect("not empty");
        outgoing.number(100);
        let sent: Vec<(u16, u32, bool)> = Messages::new(outgoing.bytes())
            .map(|view| (view.kind, view.sequence, view.flags & flags::ACK != 0))
            .collect();
        assert_eq!(
            sent,
            [
                (BEGIN, 100, false),
                (20, 101, false),
                (21, 102, true),
                (END, 103, false)
            ]
        );
        assert_eq!(outgoing.last_sequence(), 102);
        assert_eq!(outgoing.position(101), Some(0));
        assert_eq!(outgoing.position(102), Some(1));
        assert_eq!(outgoing.position(100), Some(0), "the head");
        assert_eq!(outgoing.position(99), None);
        assert_eq!(outgoing.position(104), None);
    }

    #[test]
    fn nothing_is_sent_for_nothing_or_for_what_does_not_fit() {
        assert!(Batch::new().finish().expect("fine").is_none());
        assert!(Batch::transaction(None).finish().expect("fine").is_none());
        let mut batch = Batch::new();
        batch.push(message(20));
        let mut long = message(21);
        long.bytes_of(1, &vec![0; 70_000]);
        batch.push(long);
        assert_eq!(batch.finish().err().and_then(|e| e.index()), Some(1));
    }
}
