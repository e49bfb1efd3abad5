package config

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Prefix starts the name of every variable that belongs to acmebridge.
const Prefix = "ACMEBRIDGE_"

const configVariable = Prefix + "CONFIG"

// others are the variables that are no settings: the path of the file, and the
// two seams of test builds, which those builds read by themselves.
var others = append([]string{configVariable}, seams...)

// variable is the name of the variable for a key.
func variable(key string) string {
	return Prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

func fileVariable(env []string) string {
	path := ""
	for _, entry := range env {
		if name, value, _ := strings.Cut(entry, "="); name == configVariable {
			path = value
		}
	}
	return path
}

// override sets what the environment says. It changes entries of tables but
// makes none: a misspelled name would otherwise be one more directory.
func override(c *Config, env []string, r *report) {
	given := map[string]string{}
	for _, entry := range env {
		name, value, ok := strings.Cut(entry, "=")
		if ok && strings.HasPrefix(name, Prefix) && !slices.Contains(others, name) {
			given[name] = value // the last one counts, as for os/exec
		}
	}
	if len(given) == 0 {
		return
	}
	root := reflect.ValueOf(c).Elem()
	keys := map[string]string{}
	walk(root, "", func(key string, s setting) {
		name := variable(key)
		value, ok := given[name]
		if !ok {
			keys[name] = key
			return
		}
		if other, taken := keys[name]; taken && other != key {
			r.at(place{variable: name}, key, "could mean %s or %s; set it in the file", other, key)
			return
		}
		keys[name] = key
		r.fromEnvironment(key, name)
		before := reflect.New(s.value.Type()).Elem()
		before.Set(s.value)
		if err := parseInto(s.value, s.field, value); err != nil {
			r.at(place{variable: name}, key, "%v", err)
			return
		}
		if s.key == "type" && !reflect.DeepEqual(before.Interface(), s.value.Interface()) {
			r.at(place{variable: name}, key, "cannot change the type of a backend; set it in the file")
		}
	})
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := keys[name]; ok {
			continue
		}
		r.at(place{variable: name}, "", "no such setting%s", suggest(name, slices.Sorted(maps.Keys(keys))))
	}
}
