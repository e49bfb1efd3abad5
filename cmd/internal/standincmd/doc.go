// Package standincmd runs imitations of certificate authorities as commands: what
// they have in common on the command line, their journal, their faults and
// outcomes, and the two ports on which they answer.
package standincmd
