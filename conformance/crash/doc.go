// Package crash breaks running servers.
package crash
