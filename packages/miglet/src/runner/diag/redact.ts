/** Takes secrets out of text that leaves the VM (I8): those that are known, and what looks like one. Rather too much than too little. */

const REDACTED = '[redacted]';

/** Shorter ones would be found in any text; GitHub has none. */
const MIN_SECRET_LENGTH = 8;

/** What a value ends with, in a header, JSON, a URL, a command line or a log. */
const VALUE = String.raw`(?:"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?|[^\s"'&,;}\]]+)`;
const NAMES = [
  'token',
  'secret',
  'password',
  'passwd',
  'passphrase',
  'pwd',
  'authorization',
  'credentials?',
  'api[_-]?key',
  'access[_-]?key',
  'private[_-]?key',
  'jit[_-]?config',
  'sig',
  'signature',
].join('|');

/** In the order in which they are applied: what holds others comes first. */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  // A block whose end was cut off goes to the end of the text, and one whose beginning was cut off from its start.
  [/-----BEGIN [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)[\s\S]*?(?:-----END [A-Z0-9 ]*-----|$)/g, REDACTED],
  [/^[A-Za-z0-9+/=\s]*-----END [A-Z0-9 ]*(?:PRIVATE KEY|CERTIFICATE)-----/g, REDACTED],
  // JWTs and JIT configs, also if they are cut: `{"` in base64 begins with eyJ, `{".` with eyI. A keyIdentifier is none.
  [/(?<![Kk])ey[IJ][A-Za-z0-9+/=_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}/g, REDACTED],
  // GitHub's: installation, personal, OAuth, user-to-server, refresh, fine-grained.
  [/\b(?:gh[a-z]_|github_pat_|v1\.)[A-Za-z0-9_]{10,}/g, REDACTED],
  [/\b(Bearer|Basic|RemoteAuth|token)\s+[A-Za-z0-9+/=._~-]{6,}/gi, `$1 ${REDACTED}`],
  // user:password@host
  [/\b([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/@:]{0,200}:[^\s/@]{1,1000}@/gi, `$1${REDACTED}@`],
  [new RegExp(String.raw`(--(?:${NAMES})\s+)${VALUE}`, 'gi'), `$1${REDACTED}`],
  // Also with quotes that are escaped, as in JSON within JSON.
  [new RegExp(String.raw`((?:${NAMES})\\*["']?\s*[:=]\s*)\\*${VALUE}`, 'gi'), `$1${REDACTED}`],
  // The lines of a key between its first and its last: base64 and nothing else.
  [/^[ \t]*[A-Za-z0-9+/]{40,}={0,2}[ \t]*$/gm, REDACTED],
  // Whatever it is: a JIT config, an RSA parameter, a certificate.
  [/[A-Za-z0-9+/_-]{100,}={0,2}/g, REDACTED],
];

/**
 * @param text of the end of a file, and from the beginning of a line: half a secret is not known for one
 * @param secrets known ones; each is taken out as it is, and as base64 and a URL have it
 */
export function redact(text: string, secrets: readonly string[]): string {
  let clean = text;
  for (const secret of withDisguises(secrets)) clean = clean.replaceAll(secret, REDACTED);
  for (const [pattern, replacement] of PATTERNS) clean = clean.replace(pattern, replacement);
  return clean;
}

/** Longest first, so that none is cut by one that it holds. */
function withDisguises(secrets: readonly string[]): string[] {
  const all = secrets
    .filter((secret) => secret.length >= MIN_SECRET_LENGTH)
    .flatMap((secret) => [
      secret,
      encodeURIComponent(secret),
      Buffer.from(secret).toString('base64'),
      JSON.stringify(secret).slice(1, -1),
    ]);
  return [...new Set(all)].sort((a, b) => b.length - a.length);
}
