/** What a failure of TLS means for the person who types, by the code of Node or OpenSSL; undefined = it is none of TLS. */
import { CliError, EXIT } from '../errors.js';

/** As OpenSSL names what is wrong with the controller's certificate (X509_verify_cert_error_string). */
const UNKNOWN_AUTHORITY = new Set([
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'CERT_SIGNATURE_FAILURE',
]);

export function tlsFailure(
  server: string,
  code: string,
  message: string,
  cause: unknown,
): CliError | undefined {
  const fault = faultOf(code, message);
  if (fault === undefined) return undefined;
  return new CliError(
    'tls',
    `cannot ask ${server}: ${fault.what} (${code || message})`,
    EXIT.failed,
    fault.hint,
    {
      cause,
    },
  );
}

function faultOf(
  code: string,
  message: string,
): { readonly what: string; readonly hint: string } | undefined {
  if (UNKNOWN_AUTHORITY.has(code))
    return {
      what: "the authority of the controller's certificate is not known here",
      hint: "name the file with the authority's certificate (ca.pem) with --ca-file or MIGCTL_CA_FILE; `migctl login` keeps it",
    };
  if (code === 'CERT_HAS_EXPIRED')
    return {
      what: "the controller's certificate, or that of its authority, has expired",
      hint: "look at this machine's clock; else renew it where the controller runs: `migctl certs renew FILE`",
    };
  if (code === 'CERT_NOT_YET_VALID')
    return { what: "the controller's certificate is not valid yet", hint: "look at this machine's clock" };
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return {
      what: `the controller's certificate is of other names. ${message}`,
      hint: 'use one of those in --server, or add this one: `migctl certs renew FILE --host NAME`',
    };
  if (/certificate.required|handshake.failure|CERTIFICATE_REQUIRED/i.test(`${code} ${message}`))
    return {
      what: 'the controller asks for a client certificate',
      hint: 'name it with --cert-file and --key-file; `migctl certs issue --operator NAME --role ROLE` makes one',
    };
  if (
    /ALERT_(UNKNOWN_CA|CERTIFICATE_EXPIRED|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN)|alert (unknown ca|certificate|bad certificate)/i.test(
      `${code} ${message}`,
    )
  )
    return {
      what: 'the controller does not take your client certificate',
      hint: 'it has expired, or its authority is not in tls.client_ca_file of the controller: name another with --cert-file',
    };
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return {
      what: 'it does not speak TLS',
      hint: 'name the HTTP address of the controller; without TLS it begins with http://',
    };
  return undefined;
}
