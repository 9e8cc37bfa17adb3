/** Runners at GitHub, in whatever scope they are registered: the port of registration and reconciliation. */
import type { CallClass, Scope } from '../client/github-client.js';

export interface GitHubRunner {
  readonly id: number;
  readonly name: string;
  readonly online: boolean;
  /** A hint: it may lag behind by a minute (I5). */
  readonly busy: boolean;
  readonly labels: readonly { readonly name: string; readonly fixed: boolean }[];
}

export interface RegistrationToken {
  readonly token: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export interface JitRequest {
  readonly name: string;
  readonly runnerGroupId: number;
  /** 1 to 100. */
  readonly labels: readonly string[];
  readonly workFolder: string;
}

export interface JitRunner {
  readonly runner: GitHubRunner;
  /** A secret (I8). */
  readonly encodedJitConfig: string;
}

export interface RunnerDownload {
  /** As GitHub says it: `linux`, `osx`, `win`. */
  readonly os: string;
  /** `x64`, `arm64`, `arm`. */
  readonly architecture: string;
  readonly version: string;
  readonly url: string;
  readonly sha256: string;
}

/** Every call throws GitHubCallError, and nothing else. */
export interface RunnersApi {
  /** All of them, over all pages. What has not changed at GitHub costs nothing (ETag). */
  list(scope: Scope, callClass: CallClass): Promise<readonly GitHubRunner[]>;
  findByName(scope: Scope, name: string, callClass: CallClass): Promise<GitHubRunner | undefined>;
  /** `refused`: a job runs on it, by the arbiter's word (I5). `gone`: it is deleted, or was not there. */
  remove(scope: Scope, runnerId: number, callClass: CallClass): Promise<'gone' | 'refused'>;
  setLabels(scope: Scope, runnerId: number, labels: readonly string[]): Promise<'gone' | 'set'>;
  registrationToken(scope: Scope): Promise<RegistrationToken>;
  /** `nameTaken`: GitHub has a runner of this name already. */
  jitConfig(scope: Scope, request: JitRequest): Promise<JitRunner | 'nameTaken'>;
  /** The id of a runner group; undefined if there is none of this name. A repository has only the default one, 1. */
  runnerGroupId(scope: Scope, name: string): Promise<number | undefined>;
  /** What GitHub offers to install. */
  downloads(scope: Scope): Promise<readonly RunnerDownload[]>;
}
