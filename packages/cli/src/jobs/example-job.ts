/** A job with every field, and what each says. `migctl example job > job.yaml` is where a job begins. */
export const EXAMPLE_JOB = `# A job for \`migctl submit job.yaml\`. Only name and tasks are needed; the rest shows its default, or an example in a comment.
name: clean-disk
# batch: runs to its end. service: is to run on. system: once on every node that matches.
type: batch
# Tasks run one after the other; the first that fails ends the job.
tasks:
  - name: report
    driver: exec
    config:
      # For /bin/sh -c.
      command: df -h /
      # working_dir: /var/tmp
    env:
      LEVEL: info
  # - name: prune
  #   driver: docker
  #   config:
  #     image: docker:cli
  #     command: [docker, system, prune, -f]
  #     volumes: ["/var/run/docker.sock:/var/run/docker.sock"]
# Where it may run; empty = anywhere. A node says its own in its metadata, as datacenter.
datacenters: []
# What it needs of a node. cpu_percent: 100 = one core.
resources:
  cpu_percent: 0
  ram_mb: 0
  disk_mb: 0
# 0 to 100; the higher comes first.
priority: 50
# Attributes: a key of the node's metadata, labels, or node_id. Operators: == != in regexp >=
constraints: []
# - {attribute: pool, operator: "==", value: linux}
# Ids or names of jobs that have to be completed before.
depends_on: []
# schedule:
#   cron: "30 3 * * *"
#   time_zone: Europe/Berlin
# From the claim until it is ended; 0s = never.
deadline: 1h
retry:
  max_retries: 3
  backoff: 10s
  max_backoff: 10m
# For people and programs; it comes along with the job.
meta: {}
`;
