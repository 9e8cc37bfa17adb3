/** What `migctl completion` prints. */
import { script } from '@bomb.sh/tab';
import type { Shell } from '../tree/shell.js';

/** The script for a shell; it asks `migctl complete -- WORDS...` for what can follow. */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case 'bash':
      return BASH;
    case 'zsh':
    case 'fish':
      return `${printed(() => script(shell, 'migctl', 'migctl')).trim()}\n`;
  }
}

/** The library prints with console.log and gives nothing back. */
function printed(print: () => void): string {
  const { log } = console;
  let text = '';
  console.log = (line: unknown) => {
    text += `${String(line)}\n`;
  };
  try {
    print();
  } finally {
    console.log = log;
  }
  return text;
}

/**
 * Not the library's: that one passes the words that were typed through `eval`, so that Tab after `--reason "$(rm x)"`
 * would run it, needs the package bash-completion, and fails when it is sourced twice. Runs on bash 3.2 (macOS) too.
 */
const BASH = String.raw`# bash completion for migctl
_migctl() {
  local word line reply prefix directive=0 glue= i
  local -a words=()
  # bash splits words at "=": put them together again.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=${'$'}{COMP_WORDS[i]}
    if ((${'$'}{#words[@]} > 0)) && [[ $glue || $word == '=' ]]; then
      words[${'$'}{#words[@]}-1]+=$word
    else
      words+=("$word")
    fi
    glue=
    [[ $word == '=' ]] && glue=1
  done
  reply=$(migctl complete -- "${'$'}{words[@]}" 2>/dev/null) || return 0
  word=${'$'}{words[${'$'}{#words[@]}-1]}
  prefix=
  [[ $word == *=* ]] && prefix=${'$'}{word%%=*}=
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :*) directive=${'$'}{line#:} ;;
      ?*) line=${'$'}{line%%$'\t'*}; COMPREPLY+=("${'$'}{line#"$prefix"}") ;;
    esac
  done <<<"$reply"
  # 2: no space after it, as a value follows.
  ((directive & 2)) && type compopt &>/dev/null && compopt -o nospace
  return 0
}
complete -F _migctl migctl
`;
