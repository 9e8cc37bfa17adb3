/** TLS that fails says what is wrong, and which flag or command mends it. */
import { describe, expect, it } from '@jest/globals';
import { tlsFailure } from './tls-failure.js';

const SERVER = 'https://mig.example:8080';

describe('a failure of TLS', () => {
  it.each([
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify the first certificate', /--ca-file/],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain', /--ca-file/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', /--ca-file/],
    ['CERT_HAS_EXPIRED', 'certificate has expired', /certs renew/],
    [
      'ERR_TLS_CERT_ALTNAME_INVALID',
      "Hostname/IP does not match certificate's altnames",
      /renew FILE --host/,
    ],
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'tlsv13 alert certificate required', /--cert-file/],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'tlsv1 alert unknown ca', /client_ca_file/],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'wrong version number', /http:\/\//],
  ])('%s has a hint', (code, message, hint) => {
    const error = tlsFailure(SERVER, code, message, undefined);
    expect(error?.hint).toMatch(hint);
    expect(error?.message).toContain(SERVER);
    expect(error?.message).toContain(code);
  });

  it.each(['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND'])('%s is none', (code) => {
    expect(tlsFailure(SERVER, code, `connect ${code}`, undefined)).toBeUndefined();
  });
});
