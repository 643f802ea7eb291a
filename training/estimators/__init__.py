"""The families: each fits ``m`` aligned members and returns them as a structure."""
