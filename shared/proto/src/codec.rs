//! How servers take messages in and out of the bodies of calls.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use prost::encoding::{WireType, decode_key, decode_varint};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use crate::ApiError;

/// What a call takes at first to decode its request, and again to encode its answer: most messages fit,
/// and for larger ones the buffer grows. tonic's own 8 KiB are so much that nearly each call makes the
/// allocator look for a fresh page, and each answer that waits to be sent lies on two pages of its own.
const BUFFER_BYTES: usize = 1 << 10;
/// How many bytes of a stream's messages may be sent as one, if they are ready together: as by default.
const YIELD_BYTES: usize = 32 << 10;
/// The most fields of a message, each repeated one counted as often as it is there: far more than any has
/// that is right. An empty command takes two bytes in a request, and more than a hundred in memory.
const MAX_FIELDS: usize = 1 << 12;
/// The fewest bytes of a field.
const MIN_FIELD_BYTES: usize = 2;

/// Protocol Buffers in buffers of the size that calls have. The generated servers use it.
#[derive(Debug)]
pub struct ServerCodec<T, U>(PhantomData<fn(T) -> U>);

impl<T, U> Default for ServerCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for ServerCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ServerDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ServerDecoder(ProstCodec::<T, U>::raw_decoder(settings()))
    }
}

/// Decodes messages that do not grow beyond measure by that.
#[derive(Debug)]
pub struct ServerDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for ServerDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        if has_too_many_fields(buffer.chunk()) {
            let wants = format!("must be 1 to 1000; the request has more than {MAX_FIELDS} fields");
            return Err(ApiError::invalid("commands", wants).into());
        }
        self.0.decode(buffer)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// Whether there are, as far as it is a message. What is none the decoder refuses.
fn has_too_many_fields(mut message: &[u8]) -> bool {
    let mut fields = 0;
    while fields + message.len() / MIN_FIELD_BYTES > MAX_FIELDS {
        fields += 1;
        if fields > MAX_FIELDS {
            return true;
        }
        let Some(rest) = after_field(message) else { return false };
        message = rest;
    }
    false
}

/// What comes after the first field. Fields of a group count as its message's.
fn after_field(mut message: &[u8]) -> Option<&[u8]> {
    let (_, wire_type) = decode_key(&mut message).ok()?;
    let bytes = match wire_type {
        WireType::Varint => decode_varint(&mut message).map(|_| 0).ok()?,
        WireType::SixtyFourBit => 8,
        WireType::LengthDelimited => decode_varint(&mut message).ok()?,
        WireType::StartGroup | WireType::EndGroup => 0,
        WireType::ThirtyTwoBit => 4,
    };
    message.get(usize::try_from(bytes).ok()?..)
}

fn settings() -> BufferSettings {
    BufferSettings::new(BUFFER_BYTES, YIELD_BYTES)
}
