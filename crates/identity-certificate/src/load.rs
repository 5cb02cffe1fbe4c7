//! From the bytes of a file to a private key and certificates.

use identity_core::{Error, ErrorKind, Result, Secret};
use zeroize::Zeroizing;

use crate::{
    der::{OCTET_STRING, Reader},
    pem,
    x509::Algorithm,
};

/// The command that makes a key which this build reads.
#[cfg(feature = "encrypted")]
macro_rules! convert {
    () => {
        "openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out NEW.pem, and append the certificates"
    };
}
#[cfg(not(feature = "encrypted"))]
macro_rules! convert {
    () => {
        "openssl pkcs8 -topk8 -nocrypt -in FILE -out NEW.pem, and append the certificates"
    };
}

/// What a file holds.
#[derive(Default)]
pub(crate) struct Contents {
    /// An `RSAPrivateKey` (RFC 8017, appendix A.1.2).
    pub(crate) key: Option<Zeroizing<Vec<u8>>>,
    /// DER, in the order of the file.
    pub(crate) certificates: Vec<Vec<u8>>,
}

/// Takes the bytes of a file apart.
pub(crate) fn read(bytes: &[u8], password: Option<&Secret>) -> Result<Contents> {
    if bytes.trim_ascii().is_empty() {
        return Err(invalid("it is empty; expected a private key and its certificate, as PEM"));
    }
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        return Err(invalid("it starts with a byte order mark; save it as plain text without one"));
    }
    if bytes.starts_with(&[0xff, 0xfe])
        || bytes.starts_with(&[0xfe, 0xff])
        || bytes.iter().take(8).filter(|byte| **byte == 0).count() == 4
    {
        return Err(invalid("it is UTF-16 text; save it as plain text (ASCII or UTF-8)"));
    }
    // A key vault gives the content of a PKCS#12 file as base64, and so do those who put files into variables.
    let decoded = pem::decode_base64(bytes);
    let bytes = decoded.as_ref().map_or(bytes, |decoded| decoded.as_slice());
    if pem::is_pem(bytes) { read_pem(bytes, password) } else { read_der(bytes, password) }
}

/// Takes the certificates of a PEM text, and no key.
pub(crate) fn read_certificates(bytes: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut certificates = Vec::new();
    for block in pem::blocks(bytes) {
        let block = block.map_err(malformed)?;
        if is_certificate(block.label) {
            certificates.push(block.decode().map_err(malformed)?.to_vec());
        }
    }
    Ok(certificates)
}

fn read_pem(text: &[u8], password: Option<&Secret>) -> Result<Contents> {
    let mut contents = Contents::default();
    for block in pem::blocks(text) {
        let block = block.map_err(malformed)?;
        let key = match block.label {
            label if is_certificate(label) => {
                contents.certificates.push(block.decode().map_err(malformed)?.to_vec());
                continue;
            }
            label if !label.ends_with(b"PRIVATE KEY") => continue,
            // The old form hashes the password once with MD5: a file that protects nothing.
            _ if block.is_encrypted => {
                return Err(invalid(concat!(
                    "its private key is encrypted in OpenSSL's old form (Proc-Type: 4,ENCRYPTED), which is not read; \
                     convert it: ",
                    convert!()
                )));
            }
            b"RSA PRIVATE KEY" => block.decode().map_err(malformed)?,
            b"PRIVATE KEY" => unwrap_pkcs8(&block.decode().map_err(malformed)?)?,
            b"ENCRYPTED PRIVATE KEY" => decrypt_pkcs8(&block.decode().map_err(malformed)?, password)?,
            b"EC PRIVATE KEY" => return Err(not_rsa(Algorithm::EllipticCurve)),
            b"OPENSSH PRIVATE KEY" => {
                let advice = "convert it: ssh-keygen -p -m PKCS8 -f FILE";
                return Err(invalid(format!("its private key is in OpenSSH's own form; {advice}")));
            }
            _ => return Err(not_rsa(Algorithm::Other)),
        };
        if contents.key.replace(key).is_some() {
            return Err(invalid("it holds several private keys; expected one"));
        }
    }
    Ok(contents)
}

fn read_der(bytes: &[u8], password: Option<&Secret>) -> Result<Contents> {
    let advice = "expected PEM: text with lines such as -----BEGIN PRIVATE KEY----- and -----BEGIN CERTIFICATE-----";
    if bytes.starts_with(&[0x30, 0x80, 0x02, 0x01, 0x03]) {
        return read_pkcs12(bytes, password);
    }
    let Some(mut first) = Reader::new(bytes).sequence() else {
        return Err(invalid(format!("it is neither PEM nor PKCS#12, or it is cut; {advice}")));
    };
    // What else is stored in DER begins with another number, or none.
    if first.number() == Some(3) {
        read_pkcs12(bytes, password)
    } else {
        Err(invalid(format!("it is binary (DER) and no PKCS#12; {advice}")))
    }
}

#[cfg(feature = "pkcs12")]
use crate::pkcs12::read as read_pkcs12;

#[cfg(not(feature = "pkcs12"))]
fn read_pkcs12(_: &[u8], _: Option<&Secret>) -> Result<Contents> {
    Err(invalid(if cfg!(feature = "encrypted") {
        "it is a PKCS#12 file, which this build cannot read; turn on the feature certificate-pkcs12, \
         or convert it: openssl pkcs12 -in FILE -out NEW.pem"
    } else {
        "it is a PKCS#12 file, which this build cannot read; turn on the feature certificate-pkcs12, \
         or store it without a password: openssl pkcs12 -nodes -in FILE -out NEW.pem"
    }))
}

/// The `RSAPrivateKey` in a `PrivateKeyInfo` (RFC 5208).
pub(crate) fn unwrap_pkcs8(der: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let parse = || {
        let mut info = Reader::new(der).sequence()?;
        info.number()?;
        let algorithm = Algorithm::parse(&mut info)?;
        // Attributes may follow, which ring would refuse.
        Some((algorithm, info.optional(OCTET_STRING)?))
    };
    match parse() {
        Some((Algorithm::Rsa, key)) => Ok(Zeroizing::new(key.to_vec())),
        Some((other, _)) => Err(not_rsa(other)),
        None => Err(invalid("its private key is damaged: it is not PKCS#8")),
    }
}

#[cfg(feature = "encrypted")]
fn decrypt_pkcs8(der: &[u8], password: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>> {
    use crate::pbe::{Password, Refusal, Work, algorithm, decrypt};

    let has_password = password.is_some_and(|password| !password.expose().is_empty());
    let text = password.map_or("", Secret::expose);
    let decrypt = || {
        let mut info = Reader::new(der).sequence().ok_or(Refusal::Malformed)?;
        let scheme = algorithm(&mut info).ok_or(Refusal::Malformed)?;
        let data = info.optional(OCTET_STRING).ok_or(Refusal::Malformed)?;
        if !has_password {
            return Err(Refusal::Password);
        }
        decrypt(scheme, data, Password::new(text), &mut Work::default())
    };
    let advice = "openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out NEW.pem \
                  (with -provider legacy -provider default for old files), and append the certificates";
    let key = decrypt().map_err(|refusal| refusal.explain(has_password, advice))?;
    unwrap_pkcs8(&key)
}

#[cfg(not(feature = "encrypted"))]
fn decrypt_pkcs8(_: &[u8], _: Option<&Secret>) -> Result<Zeroizing<Vec<u8>>> {
    Err(invalid(concat!(
        "its private key is encrypted, which this build cannot read; turn on the feature certificate-encrypted, \
         or store it without a password: ",
        convert!()
    )))
}

/// Whether this is one, also under the names that it had before RFC 7468, or has in OpenSSL alone.
fn is_certificate(label: &[u8]) -> bool {
    label.ends_with(b"CERTIFICATE")
}

pub(crate) fn not_rsa(algorithm: Algorithm) -> Error {
    let advice = "Entra ID takes RSA keys of 2048 to 4096 bits for certificates";
    invalid(format!("its private key is {}; {advice}", algorithm.name()))
}

fn malformed(error: pem::Malformed) -> Error {
    invalid(match error {
        pem::Malformed::Cut => "it is cut: a block begins with -----BEGIN and does not end with the matching -----END",
        pem::Malformed::Base64 => "it is damaged: what stands between -----BEGIN and -----END is no base64",
    })
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, message)
}
