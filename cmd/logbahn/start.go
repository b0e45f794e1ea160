package main

import "github.com/spf13/cobra"

func startCommand() *cobra.Command { return &cobra.Command{Use: "start"} }
func demoCommand() *cobra.Command  { return &cobra.Command{Use: "demo"} }
