package standincmd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"acmebridge/internal/standin"
)

// parseFault reads a fault as the help says that it is written.
func parseFault(text string) (f standin.Fault, err error) {
	parts := strings.SplitN(text, ":", 3)
	if len(parts) < 2 {
		return f, errors.New("it should look like order:reset-after:count=1")
	}
	f.Endpoint, f.Kind = parts[0], parts[1]
	if f.Endpoint == "*" {
		f.Endpoint = ""
	}
	if len(parts) == 2 {
		return f, nil
	}
	for setting := range strings.SplitSeq(parts[2], ",") {
		name, value, ok := strings.Cut(setting, "=")
		if !ok {
			return f, fmt.Errorf("%q has no value", setting)
		}
		switch name {
		case "status":
			f.Status, err = strconv.Atoi(value)
		case "code":
			f.Code = value
		case "message":
			f.Message = value
		case "retry-after":
			f.RetryAfter = value
		case "delay":
			err = f.Delay.UnmarshalText([]byte(value))
		case "skip":
			f.Skip, err = strconv.Atoi(value)
		case "count":
			f.Count, err = strconv.Atoi(value)
		case "probability":
			f.Probability, err = strconv.ParseFloat(value, 64)
		default:
			return f, fmt.Errorf("there is no %q", name)
		}
		if err != nil {
			return f, fmt.Errorf("%s: %w", name, err)
		}
	}
	return f, nil
}
