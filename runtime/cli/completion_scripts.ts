/**
 * Completion for bash, zsh and fish. Each script hands the words to `lamina __complete`, which answers from the command
 * table: one candidate a line, and `:file` or `:directory` where the shell's own completion of paths fits.
 */

/** Shells that are known. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** The script for a shell; written for `eval` or a completion directory. */
export function completionScript(shell: typeof SHELLS[number]): string {
  return { bash, zsh, fish }[shell];
}

const bash = `# bash completion for lamina; load it with: eval "$(lamina completions bash)"
_lamina() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words answer line
  # Names have colons, at which bash splits words: the line up to the cursor is split again, at spaces only.
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n : -c current -w words
    words=("\${words[@]:1:COMP_CWORD}")
  else
    words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  fi
  [[ \${#words[@]} -gt 0 ]] || words=("")
  answer=$("\${COMP_WORDS[0]}" __complete -- "\${words[@]}" 2>/dev/null) || return 0
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      "") ;;
      :file) compopt -o filenames 2>/dev/null; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current") ;;
      :directory) compopt -o filenames 2>/dev/null; mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$current") ;;
      *) COMPREPLY+=("$line"); [[ "$line" == *: ]] && compopt -o nospace 2>/dev/null ;;
    esac
  done <<< "$answer"
  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$current"
  return 0
}
complete -F _lamina lamina
`;

const zsh = `#compdef lamina
# zsh completion for lamina; load it with: eval "$(lamina completions zsh)"
_lamina() {
  local -a candidates partial
  local line
  while IFS= read -r line; do
    case "$line" in
      "") ;;
      :file) _files ;;
      :directory) _files -/ ;;
      *:) partial+=("$line") ;;
      *) candidates+=("$line") ;;
    esac
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#candidates} )) && compadd -- "\${candidates[@]}"
  (( \${#partial} )) && compadd -S '' -- "\${partial[@]}"
  return 0
}
compdef _lamina lamina
`;

const fish = `# fish completion for lamina; load it with: lamina completions fish | source
function __lamina_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (command $words[1] __complete -- $words[2..-1] 2>/dev/null)
        switch $line
            case ':file'
                __fish_complete_path (commandline -ct)
            case ':directory'
                __fish_complete_directories (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c lamina -f -a '(__lamina_complete)'
`;
