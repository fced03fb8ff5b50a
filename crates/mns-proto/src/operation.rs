//! The operations of the queue API by name.

use std::fmt;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident => $action:literal,)*) => {
        /// An operation, as the documents, access policies and errors name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Operation { $($(#[$doc])* $name,)* }

        impl Operation {
            /// All of them, in the order of the API's table of contents.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in the documents.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The action an access policy (RAM) must allow for it. The batch forms are covered by the action of the
            /// single form (RAM policy page).
            pub fn ram_action(self) -> &'static str {
                match self { $(Self::$name => $action,)* }
            }
        }
    };
}

operations! {
    /// Make a queue.
    CreateQueue => "mns:CreateQueue",
    /// Change settings of a queue.
    SetQueueAttributes => "mns:SetQueueAttributes",
    /// Read settings and counters of a queue.
    GetQueueAttributes => "mns:GetQueueAttributes",
    /// Remove a queue with its messages.
    DeleteQueue => "mns:DeleteQueue",
    /// Page through the queues of the account.
    ListQueue => "mns:ListQueue",
    /// Put in one message.
    SendMessage => "mns:SendMessage",
    /// Put in up to 16 messages.
    BatchSendMessage => "mns:SendMessage",
    /// Lease one message.
    ReceiveMessage => "mns:ReceiveMessage",
    /// Lease up to 16 messages.
    BatchReceiveMessage => "mns:ReceiveMessage",
    /// Look at one message.
    PeekMessage => "mns:PeekMessage",
    /// Look at up to 16 messages.
    BatchPeekMessage => "mns:PeekMessage",
    /// Delete one message by its handle.
    DeleteMessage => "mns:DeleteMessage",
    /// Delete up to 16 messages by their handles.
    BatchDeleteMessage => "mns:DeleteMessage",
    /// Set the end of a lease.
    ChangeMessageVisibility => "mns:ChangeMessageVisibility",
    /// Read the settings of the account.
    GetAccountAttributes => "mns:GetAccountAttributes",
    /// Change the settings of the account.
    SetAccountAttributes => "mns:SetAccountAttributes",
}

impl Operation {
    /// Whether an answer of "no message" is a normal one: true for receives and peeks.
    pub fn reads_messages(self) -> bool {
        matches!(self, Self::ReceiveMessage | Self::BatchReceiveMessage | Self::PeekMessage | Self::BatchPeekMessage)
    }

    /// Whether the operation names messages by handles, which can have gone stale.
    pub fn uses_handles(self) -> bool {
        matches!(self, Self::DeleteMessage | Self::BatchDeleteMessage | Self::ChangeMessageVisibility)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
