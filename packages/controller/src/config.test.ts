/** How the controller's own schema joins with loading: names in the environment, and what it does not allow. */
import { describe, expect, it } from '@jest/globals';
import { ConfigError, loadConfig } from '@mig/common/config/load';
import { exposures } from './auth/auth-config.js';
import { controllerConfigSchema } from './config.js';

const load = (env: Record<string, string> = {}) =>
  loadConfig(controllerConfigSchema, { envPrefix: 'CONTROLLER', env });

describe('the configuration of the controller', () => {
  it('listens where the contract says, on this machine alone, and keeps what issue 2 says', () => {
    const { config } = load();
    expect(config.http).toMatchObject({ host: '127.0.0.1', port: 8080, tls: { enabled: 'auto' } });
    expect(config.grpc).toMatchObject({ host: '127.0.0.1', port: 50051, tls: { enabled: 'auto' } });
    expect(config.retention).toMatchObject({ age: 7 * 86_400_000, events: 10_000, heartbeats: 100 });
  });

  it('takes every kind of key from the environment', () => {
    const { config, unknownVariables } = load({
      CONTROLLER_GRPC_PORT: '0',
      CONTROLLER_DATA_DIR: '/srv/mig',
      CONTROLLER_HEARTBEAT_INTERVAL: '5s',
      CONTROLLER_POOLS: '{pool-a: {labels: [gpu], runner_group: large}}',
      CONTROLLER_GRCP_PORT: '1',
    });
    expect(config).toMatchObject({
      data_dir: '/srv/mig',
      grpc: { port: 0 },
      heartbeat: { interval: 5_000 },
      pools: { 'pool-a': { labels: ['gpu'], runner_group: 'large' } },
    });
    expect(unknownVariables).toEqual(['CONTROLLER_GRCP_PORT']);
  });

  it.each([
    [
      { CONTROLLER_GITHUB_AUTH: 'token' },
      /token_file.*expected the path of a file, because github\.auth is token/,
    ],
    [
      { CONTROLLER_GRPC_TLS_ENABLED: 'true' },
      /^tls\.cert_file: expected the path of a file, because TLS is on, got nothing$/m,
    ],
    [{ CONTROLLER_GITHUB_AUTH: 'app' }, /app_id.*expected the id of the App, because github\.auth is app/],
    [
      { CONTROLLER_GITHUB_AUTH: 'app', CONTROLLER_GITHUB_APP_ID: '7' },
      /private_key_file.*expected the path of a file/,
    ],
    [{ CONTROLLER_POOLS: '{a: {repository: acme/shop, enterprise: big}}' }, /registered in one place/],
    [{ CONTROLLER_POOLS: '{a: {repository: acme/shop, runner_group: x}}' }, /a repository has none/],
    [{ CONTROLLER_HTTP_HOST: '0.0.0.0' }, /^CONTROLLER_HTTP_HOST .*needs tls\.cert_file, or insecure: true/],
    [{ CONTROLLER_GRPC_HOST: '10.0.0.5' }, /^CONTROLLER_GRPC_HOST .*needs tls\.cert_file, or insecure: true/],
    [{ CONTROLLER_AUTH_REQUIRED: 'false' }, /^CONTROLLER_AUTH_REQUIRED .*needs insecure: true/],
    [{ CONTROLLER_TLS_CLIENT_CERTIFICATES: 'required' }, /^tls\.client_ca_file: expected the path/],
    [{ CONTROLLER_AUTH_OIDC_ISSUER: 'https://a.example' }, /^auth\.oidc\.audience: expected the audience/],
    [{ CONTROLLER_GITHUB_API_URL: 'github' }, /^CONTROLLER_GITHUB_API_URL .*expected a URL, got "github"$/],
    [{ CONTROLLER_GITHUB_ORG: 'a/b' }, /^CONTROLLER_GITHUB_ORG .*expected 1 to 63 of .*, got "a\/b"$/],
  ])('refuses %j', (env, fault) => {
    expect(() => load(env)).toThrow(ConfigError);
    expect(() => load(env)).toThrow(fault);
  });

  it.each(['127.evil.example', '127.1', '127.0.0.1.example'])(
    'does not take the host %s for this machine',
    (host) => {
      expect(() => load({ CONTROLLER_HTTP_HOST: host })).toThrow(/expected a loopback address/);
    },
  );

  it.each([
    [{}, []],
    [{ CONTROLLER_INSECURE: 'true' }, [/asks? for no credential|no credential is needed/]],
    [
      { CONTROLLER_INSECURE: 'true', CONTROLLER_AUTH_REQUIRED: 'true', CONTROLLER_HTTP_HOST: '0.0.0.0' },
      [/http listens on 0\.0\.0\.0 without TLS/],
    ],
    [
      { CONTROLLER_INSECURE: 'true', CONTROLLER_GRPC_HOST: '0.0.0.0' },
      [/grpc .* without TLS/, /grpc .* asks for no credential/, /no credential is needed/],
    ],
    [
      {
        CONTROLLER_HTTP_HOST: '0.0.0.0',
        CONTROLLER_GRPC_HOST: '::',
        CONTROLLER_TLS_CERT_FILE: 'c.pem',
        CONTROLLER_TLS_KEY_FILE: 'c.key',
      },
      [],
    ],
  ])('with %j is exposed so far as it says', (env, warnings) => {
    const found = exposures(load(env).config);
    expect(found).toHaveLength(warnings.length);
    warnings.forEach((warning, index) => expect(found[index]).toMatch(warning));
  });
});
